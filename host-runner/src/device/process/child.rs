//! The program of a device, as the host has it: started, watched, ended.
//!
//! One thread starts the program, waits for its end, and tells everybody who waits for an answer. The system ends the
//! program when that thread goes (`PR_SET_PDEATHSIG` is about threads), that is, with this process. The
//! program's number is held as a descriptor, so that a signal never reaches another process.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::layout::ControlFile;
use crate::device::crash::signal_name;
use crate::device::shared_file::SharedFile;
use crate::device::{DeviceError, LostCause};

/// A program that was started.
#[derive(Debug)]
pub(super) struct Child {
    shared: Arc<Shared>,
    program: OwnedFd,
    number: u32,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    control: Arc<ControlFile>,
    is_over: AtomicBool,
    /// How it ended.
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Child {
    /// Starts a program, which gets the two files as descriptors with the numbers that its arguments name.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Program`] where it does not start, and [`DeviceError::System`].
    pub(super) fn start(
        mut command: Command,
        control: Arc<ControlFile>,
        memory: &SharedFile,
    ) -> Result<Self, DeviceError> {
        use std::os::fd::AsFd as _;
        let (control_fd, memory_fd) =
            (control.file().as_fd().as_raw_fd(), memory.as_fd().as_raw_fd());
        command.arg("--control").arg(control_fd.to_string());
        command.arg("--memory").arg(memory_fd.to_string());
        command.stdin(Stdio::null());
        let parent = getpid();
        // SAFETY: the closure makes system calls only, which is what may be done between fork and exec.
        unsafe { command.pre_exec(move || in_child(parent, [control_fd, memory_fd])) };
        let shared = Arc::new(Shared {
            control,
            is_over: AtomicBool::new(false),
            status: Mutex::new(None),
            ended: Condvar::new(),
        });
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let watched = Arc::clone(&shared);
        let watcher = thread::Builder::new()
            .name("device-watch".to_owned())
            .spawn(move || watch(command, &watched, &tell))
            .map_err(|source| DeviceError::System { what: "a thread for its program", source })?;
        match told.recv() {
            Ok(Ok((program, number))) => {
                Ok(Self { shared, program, number, watcher: Some(watcher) })
            }
            Ok(Err(error)) => Err(error),
            Err(_no_word) => {
                Err(DeviceError::Program { reason: "its watcher broke off".to_owned() })
            }
        }
    }

    /// Whether it has ended.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        // ORDERING: Acquire: who sees it finds the status, and what the program wrote before.
        self.shared.is_over.load(Ordering::Acquire)
    }

    /// Number of the process, while there is one.
    pub(super) fn process_id(&self) -> Option<u32> {
        (!self.is_over()).then_some(self.number)
    }

    /// Ends it at once, and waits until it has ended.
    pub(super) fn kill(&self) {
        if self.is_over() {
            return;
        }
        // The one error is that it has ended already.
        let _sent = pidfd_send_signal(&self.program, Signal::KILL);
        let status = self.status();
        // It is not up to the program when it ends now.
        drop(self.shared.ended.wait_while(status, |status| status.is_none()));
    }

    /// Waits for its end.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let status = self.status();
        let waited = self.shared.ended.wait_timeout_while(status, at_most, |it| it.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// How it has ended, in words; what is known beside the crash record.
    pub(super) fn how(&self) -> LostCause {
        let how = match *self.status() {
            Some(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => signal_name(signal),
                (None, Some(code)) => format!("exit status {code}"),
                (None, None) => status.to_string(),
            },
            None => "it cannot be told how".to_owned(),
        };
        LostCause::Ended { how }
    }

    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        // Nothing panics while it is held.
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if let Some(watcher) = self.watcher.take() {
            // It has panicked, or not: the program is gone.
            let _joined = watcher.join();
        }
    }
}

/// Between fork and exec: the program ends with its parent, and keeps the files.
fn in_child(parent: Pid, files: [i32; 2]) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have gone before.
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    for file in files {
        // SAFETY: a descriptor of this process, which stays open.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(file) };
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?;
    }
    Ok(())
}

/// Starts the program, waits for its end, and tells of it.
fn watch(
    mut command: Command,
    shared: &Shared,
    tell: &std::sync::mpsc::SyncSender<Result<(OwnedFd, u32), DeviceError>>,
) {
    let name = command.get_program().to_string_lossy().into_owned();
    let started = command.spawn().map_err(|source| DeviceError::Program {
        reason: format!("{name} does not start: {source}"),
    });
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            // Whoever has asked waits for it.
            let _told = tell.send(Err(error));
            return;
        }
    };
    // CAST: numbers of processes are positive and fit.
    let number = Pid::from_raw(child.id() as i32).ok_or(io::Error::from(io::ErrorKind::NotFound));
    let id = child.id();
    let handle = number.and_then(|number| Ok((pidfd_open(number, PidfdFlags::empty())?, id)));
    let is_held = handle.is_ok();
    let handle =
        handle.map_err(|source| DeviceError::System { what: "a handle of its program", source });
    if !is_held {
        // As above; the program is not to be had.
        let _killed = child.kill();
    }
    let _told = tell.send(handle);
    let status = child.wait().unwrap_or_default();
    let mut known = shared.status.lock().unwrap_or_else(PoisonError::into_inner);
    *known = Some(status);
    // ORDERING: Release: see `is_over`. Under the lock: who has waited for the status finds that it is over.
    shared.is_over.store(true, Ordering::Release);
    drop(known);
    shared.ended.notify_all();
    for lane in &shared.control.control().lanes {
        lane.wake();
    }
}
