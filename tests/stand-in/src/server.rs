//! The daemon: does what it is asked for, each request on a thread of its own.
//!
//! It inherits a socket as standard input and its device memory as standard output, takes both away from
//! there, and lets what user code prints go to standard error. It ends when the socket does: with whoever
//! started it, whatever its threads are doing then. A crash of the code that it calls is its own.

use std::convert::Infallible;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};
use protocol::{A2a3, A5};

use crate::cores::{Cores, Stops};
use crate::memory::DeviceMemory;
use crate::message::{self, Answer, Chip, Numbered, Request, Scope};

/// Stack of a thread that calls an entry point: for code of an orchestration.
const STACK_BYTES: usize = 8 << 20;

/// Most threads of a call.
const THREADS_MAX: u32 = 64;

/// An entry point: a pointer in, a status out.
type Entry = unsafe extern "C" fn(*mut c_void) -> i32;

/// Why the daemon does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It was started in another way than `Daemon::start` does.
    #[error(
        "wants the address and the size of device memory, got {0:?}; start it with `Daemon::start`"
    )]
    Arguments(Vec<String>),
    /// What it inherits is not there or cannot be used.
    #[error("cannot use what standard input and output were")]
    Inherited(#[source] io::Error),
    /// Device memory cannot be where it is to be.
    #[error("cannot map device memory at {address:#x}")]
    Memory {
        /// Where it is to be.
        address: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The socket does not carry requests.
    #[error("cannot read requests")]
    Requests(#[source] io::Error),
}

/// What all requests share.
struct Server {
    memory: Arc<DeviceMemory>,
    cores: Cores,
    image: Mutex<Option<Arc<Library>>>,
    answers: Mutex<UnixStream>,
}

/// Serves until whoever started this process is gone, and ends the process then.
///
/// # Errors
///
/// [`ServeError`], where serving does not begin, or what comes is no request.
pub fn serve(arguments: impl Iterator<Item = String>) -> Result<Infallible, ServeError> {
    let arguments: Vec<String> = arguments.collect();
    let number = |index: usize| arguments.get(index)?.parse::<u64>().ok();
    let (Some(address), Some(bytes), 2) = (number(0), number(1), arguments.len()) else {
        return Err(ServeError::Arguments(arguments));
    };
    let (mut requests, memory) = inherited().map_err(ServeError::Inherited)?;
    open_cxx_runtime();
    let memory = DeviceMemory::at(memory, address, bytes)
        .map_err(|source| ServeError::Memory { address, source })?;
    let memory = Arc::new(memory);
    let server = Arc::new(Server {
        cores: Cores::new(Arc::clone(&memory)),
        memory,
        image: Mutex::default(),
        answers: Mutex::new(requests.try_clone().map_err(ServeError::Inherited)?),
    });
    while let Some(request) = message::read(&mut requests).map_err(ServeError::Requests)? {
        let served = Arc::clone(&server);
        let Numbered { number, content } = request;
        // Here, in the order of the requests: a launch is stopped by what comes after it only.
        let stops = server.cores.stops();
        if content == Request::StopCores {
            server.cores.stop();
        }
        let spawned = thread::Builder::new().spawn(move || served.answer(number, content, stops));
        if let Err(error) = spawned {
            server.send(number, refused(format!("no thread for it: {error}")));
        }
    }
    // SAFETY: ends the process, and nothing after it is relied on. Not `exit`: that would wait for or run
    // code of libraries that other threads are in.
    unsafe { libc::_exit(0) }
}

/// Opens the run time of C++ for everybody: the driver's server is a program of C++, so it is there on a chip.
fn open_cxx_runtime() {
    // SAFETY: the system's own library.
    match unsafe { Library::open(Some("libstdc++.so.6"), RTLD_NOW | RTLD_GLOBAL) } {
        // For as long as the process.
        Ok(library) => std::mem::forget(library),
        Err(error) => eprintln!("stand-in-daemon: no run time of C++: {}", reason(&error)),
    }
}

/// Takes the socket and the memory away from standard input and output.
fn inherited() -> io::Result<(UnixStream, File)> {
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};

    let requests = UnixStream::from(fcntl_dupfd_cloexec(stdin(), 3)?);
    let memory = File::from(fcntl_dupfd_cloexec(stdout(), 3)?);
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(stderr())?;
    Ok((requests, memory))
}

impl Server {
    /// Does what a request asks for, and answers.
    fn answer(&self, number: u64, request: Request, stops: Stops) {
        let answer = match request {
            Request::Open { library, scope } => self.open(&library, scope),
            Request::Call { entry, argument, threads } => self.call(&entry, argument, threads),
            Request::RunCores(launch) => match launch.chip {
                Chip::A2a3 => self.cores.run::<A2a3>(&launch, stops),
                Chip::A5 => self.cores.run::<A5>(&launch, stops),
            },
            Request::StopCores => Ok(Answer::Done),
            Request::Close => {
                *self.image() = None;
                Ok(Answer::Done)
            }
        };
        self.send(number, answer.unwrap_or_else(refused));
    }

    /// Opens the image.
    fn open(&self, path: &Path, scope: Scope) -> Result<Answer, String> {
        let flags = match scope {
            Scope::Global => RTLD_LAZY | RTLD_GLOBAL,
            Scope::Local => RTLD_NOW | RTLD_LOCAL,
        };
        // SAFETY: the test's own image; its build refuses constructors.
        let library = unsafe { Library::open(Some(path), flags) };
        let library = library
            .map_err(|error| format!("cannot open {}: {}", path.display(), reason(&error)))?;
        *self.image() = Some(Arc::new(library));
        Ok(Answer::Done)
    }

    /// Calls an entry point on several threads at once.
    fn call(&self, entry: &str, argument: u64, threads: u32) -> Result<Answer, String> {
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(format!("{threads} threads; there can be 1 to {THREADS_MAX}"));
        }
        let library = self.image().clone().ok_or("no image is open")?;
        // SAFETY: what the image exports has this signature, or takes a number and returns nothing, which the
        // calling convention makes the same but for what is returned.
        let function = unsafe { library.get::<Entry>(entry.as_bytes()) };
        let function = *function.map_err(|error| format!("no `{entry}`: {}", reason(&error)))?;
        let call = move || {
            // CAST: both machines have 64-bit addresses.
            let argument = core::ptr::with_exposed_provenance_mut(argument as usize);
            // SAFETY: the test passes what the entry point is to be tested with.
            unsafe { function(argument) }
        };
        let spawned: Vec<_> = (0..threads)
            .map(|index| {
                let name = format!("aicpu-{index}");
                thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(call)
            })
            .collect();
        let statuses = spawned.into_iter().map(|thread| {
            let thread = thread.map_err(|error| format!("the system refuses a thread: {error}"))?;
            thread.join().map_err(|_panic| String::from("a thread panicked"))
        });
        // All are joined, whatever becomes of one.
        let statuses: Vec<Result<i32, String>> = statuses.collect();
        Ok(Answer::Returned { statuses: statuses.into_iter().collect::<Result<_, _>>()? })
    }

    fn send(&self, number: u64, content: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = message::write(&mut *answers, &Numbered { number, content }) {
            // Who would read it is gone, and the loop in `serve` ends.
            eprintln!("stand-in-daemon: an answer is not read: {error}");
        }
    }

    fn image(&self) -> MutexGuard<'_, Option<Arc<Library>>> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("memory", &self.memory).finish_non_exhaustive()
    }
}

fn refused(reason: String) -> Answer {
    Answer::Refused { reason }
}

/// What the system's loader says.
fn reason(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}
