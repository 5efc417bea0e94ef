//! The daemon as seen by who starts it: requests, answers, and how it ended.
//!
//! No call waits for ever: each has a limit, and a daemon that is gone answers at once, with the signal that
//! ended it. Dropping it ends it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::machine::{Machine, NotHere};
use crate::memory::DeviceMemory;
use crate::message::{self, Answer, Numbered, Request, Scope};

/// How long a daemon whose socket is closed may take to end by itself.
const END_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const END_LOOK: Duration = Duration::from_millis(2);

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A signal ended it: code that it called has crashed, or somebody has killed it.
    Signal(i32),
    /// It left with this code.
    Code(i32),
    /// It did not end in time, and was killed.
    Killed,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signal(number) => write!(f, "signal {number} has ended it"),
            Self::Code(code) => write!(f, "it left with code {code}"),
            Self::Killed => write!(f, "it closed its socket, did not end, and was killed"),
        }
    }
}

/// Why the daemon did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// This machine lacks what it takes.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// It cannot be started.
    #[error("cannot start the stand-in daemon: {0}")]
    Start(#[source] io::Error),
    /// It is gone.
    #[error("the stand-in daemon is gone: {0}")]
    Gone(Ended),
    /// It has not answered.
    #[error("the stand-in daemon has not answered within {limit:?}: {what}; end it by dropping it")]
    Late {
        /// The request.
        what: String,
        /// How long it had.
        limit: Duration,
    },
    /// It refuses.
    #[error("the stand-in daemon refuses: {0}")]
    Refused(String),
    /// It answers something else than it was asked.
    #[error("the stand-in daemon answers something else: {0:?}")]
    Other(Answer),
}

/// Who waits for answers.
#[derive(Debug, Default)]
struct Waiting {
    by_number: HashMap<u64, Sender<Answer>>,
    next: u64,
    /// How it ended, once it has.
    ended: Option<Ended>,
}

/// What the thread that reads answers shares with the others.
#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    child: Mutex<Child>,
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    machine: Machine,
    requests: Mutex<UnixStream>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Pending {
    what: String,
    answer: Receiver<Answer>,
    shared: Arc<Shared>,
}

impl Daemon {
    /// Starts a daemon with this device memory. It is built first, if need be.
    ///
    /// # Errors
    ///
    /// [`DaemonError::NotHere`] and [`DaemonError::Start`]. Whether it can have its memory, the first
    /// request shows.
    pub fn start(machine: Machine, memory: &DeviceMemory) -> Result<Self, DaemonError> {
        let program = machine.daemon()?;
        Self::start_program(machine, &program, memory)
    }

    /// As [`start`](Self::start), with a program that is there.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Start`].
    pub fn start_program(
        machine: Machine,
        program: &Path,
        memory: &DeviceMemory,
    ) -> Result<Self, DaemonError> {
        let mut command = match machine.emulator() {
            [] => Command::new(program),
            [emulator, arguments @ ..] => {
                let mut command = Command::new(emulator);
                command.args(arguments).arg(program);
                command
            }
        };
        command.args([memory.address().to_string(), memory.bytes().to_string()]);
        let start = || -> io::Result<Self> {
            let (own, its) = UnixStream::pair()?;
            let file = memory.file().try_clone_to_owned()?;
            command.stdin(Stdio::from(OwnedFd::from(its))).stdout(Stdio::from(file));
            let child = command.spawn()?;
            // The command keeps its ends of what it has passed on, and the socket must close with the child.
            drop(command);
            let answers = own.try_clone()?;
            let shared = Arc::new(Shared { waiting: Mutex::default(), child: Mutex::new(child) });
            let reading = Arc::clone(&shared);
            let reader = thread::Builder::new()
                .name("stand-in-answers".to_owned())
                .spawn(move || reading.read_answers(answers))?;
            Ok(Self { machine, requests: Mutex::new(own), shared, reader: Some(reader) })
        };
        start().map_err(DaemonError::Start)
    }

    /// The machine that it runs on.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Its process, or that of its emulator.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.shared.child().id()
    }

    /// How it ended; `None` as long as it runs.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.shared.waiting().ended
    }

    /// Makes a request.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Gone`].
    pub fn begin(&self, request: Request) -> Result<Pending, DaemonError> {
        let (sender, answer) = mpsc::channel();
        let number = {
            let mut waiting = self.shared.waiting();
            if let Some(ended) = waiting.ended {
                return Err(DaemonError::Gone(ended));
            }
            waiting.next += 1;
            let number = waiting.next;
            waiting.by_number.insert(number, sender);
            number
        };
        let pending =
            Pending { what: format!("{request:?}"), answer, shared: Arc::clone(&self.shared) };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it cannot be written there is nobody to read it: then the thread that reads answers finds out
        // why, and whoever waits is told.
        let _is_noticed_there =
            message::write(&mut *requests, &Numbered { number, content: request });
        Ok(pending)
    }

    /// Makes a request that ends with [`Answer::Done`].
    ///
    /// # Errors
    ///
    /// [`DaemonError`].
    pub fn ask(&self, request: Request, limit: Duration) -> Result<(), DaemonError> {
        match self.begin(request)?.wait(limit)? {
            Answer::Done => Ok(()),
            other => Err(DaemonError::Other(other)),
        }
    }

    /// Opens an image.
    ///
    /// # Errors
    ///
    /// [`DaemonError`].
    pub fn open(&self, library: &Path, scope: Scope, limit: Duration) -> Result<(), DaemonError> {
        self.ask(Request::Open { library: library.to_owned(), scope }, limit)
    }

    /// Calls an entry point on several threads and returns what it returned to each.
    ///
    /// # Errors
    ///
    /// [`DaemonError`].
    pub fn call(
        &self,
        entry: &str,
        argument: u64,
        threads: u32,
        limit: Duration,
    ) -> Result<Vec<i32>, DaemonError> {
        let entry = entry.to_owned();
        match self.begin(Request::Call { entry, argument, threads })?.wait(limit)? {
            Answer::Returned { statuses } => Ok(statuses),
            other => Err(DaemonError::Other(other)),
        }
    }

    /// Kills it. Whoever waits for an answer gets an error.
    pub fn kill(&self) {
        // It may have ended already.
        let _is_gone_either_way = self.shared.child().kill();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if let Some(reader) = self.reader.take() {
            // It ends with the socket, which the process that is gone held.
            let _did_not_panic = reader.join();
        }
    }
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Late`], [`DaemonError::Gone`] and [`DaemonError::Refused`].
    pub fn wait(self, limit: Duration) -> Result<Answer, DaemonError> {
        match self.answer.recv_timeout(limit) {
            Ok(Answer::Refused { reason }) => Err(DaemonError::Refused(reason)),
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(DaemonError::Late { what: self.what, limit }),
            Err(RecvTimeoutError::Disconnected) => {
                let ended = self.shared.waiting().ended;
                Err(DaemonError::Gone(ended.unwrap_or(Ended::Killed)))
            }
        }
    }
}

impl Shared {
    /// Hands answers to who waits for them, until there are no more; then says to all how it ended.
    fn read_answers(&self, mut answers: UnixStream) {
        while let Ok(Some(Numbered { number, content })) = message::read(&mut answers) {
            let waiter = self.waiting().by_number.remove(&number);
            // Who does not wait any more does not need it.
            let _is_wanted = waiter.map(|waiter| waiter.send(content));
        }
        let ended = self.end();
        let mut waiting = self.waiting();
        waiting.ended = Some(ended);
        // Their senders go: who waits wakes.
        waiting.by_number.clear();
    }

    /// Waits for the end of the process, or brings it about.
    fn end(&self) -> Ended {
        let deadline = Instant::now() + END_LIMIT;
        loop {
            match self.child().try_wait() {
                Ok(Some(status)) => return Ended::from(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(END_LOOK),
                Ok(None) | Err(_) => break,
            }
        }
        let mut child = self.child();
        // What is gone cannot be killed, and is waited for at once.
        let _is_gone_either_way = child.kill();
        let _is_reaped = child.wait();
        Ended::Killed
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.signal(), status.code()) {
            (Some(number), _) => Self::Signal(number),
            (None, Some(code)) => Self::Code(code),
            (None, None) => Self::Killed,
        }
    }
}
