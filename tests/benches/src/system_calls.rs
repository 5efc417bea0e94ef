//! Counts the system calls of all threads of a child, exactly, without rights and without tools.
//!
//! ```text
//!  this process ── starts, traced ──▶ itself with an errand: mark, runs, mark, runs, …
//!       └── lets each thread run from system call to system call, and counts those between marks
//! ```
//!
//! A process that makes no system call is not slowed down by it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::ptr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::child::Errand;
use crate::process::MARK;

/// System calls of a window, by their numbers.
pub(crate) type Window = BTreeMap<i64, u32>;

/// Counts the system calls between the marks of a child; `None` where nobody may trace.
///
/// # Errors
///
/// The child fails, or cannot be made or waited for.
pub(crate) fn windows(errand: Errand) -> Result<Option<Vec<Window>>> {
    let mut command = errand.command()?;
    command.stdout(Stdio::null());
    // SAFETY: one system call, which is all that a process may do between fork and exec.
    unsafe { command.pre_exec(ask_to_be_traced) };
    let child = match command.spawn() {
        Ok(child) => libc::pid_t::try_from(child.id())?,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error).context("cannot start a child"),
    };
    let mut tracer = Tracer { child, windows: Vec::new(), is_set_up: false };
    while let Some((thread, status)) = wait()? {
        if tracer.see(thread, status)? {
            break;
        }
    }
    // What is behind the last mark is the end of the process.
    tracer.windows.pop();
    Ok(Some(tracer.windows))
}

/// In the child: has its parent trace it.
fn ask_to_be_traced() -> std::io::Result<()> {
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: asks for something about this process; the pointers are not used.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// What is known of the traced process.
struct Tracer {
    child: libc::pid_t,
    /// The last one is open; empty before the first mark.
    windows: Vec<Window>,
    is_set_up: bool,
}

impl Tracer {
    /// Takes note of a stop of a thread, and lets it go on. Returns whether the process has ended.
    fn see(&mut self, thread: libc::pid_t, status: libc::c_int) -> Result<bool> {
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if thread == self.child {
                ensure!(status == 0, "the process that is counted ended with status {status}");
            }
            return Ok(thread == self.child);
        }
        let mut delivered = 0;
        match libc::WSTOPSIG(status) {
            signal if signal == libc::SIGTRAP | 0x80 => self.count(thread)?,
            // The first stop of the process, behind exec; later ones are events.
            libc::SIGTRAP if !self.is_set_up => {
                let options = libc::PTRACE_O_TRACESYSGOOD
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_EXITKILL;
                request(libc::PTRACE_SETOPTIONS, thread, options)?;
                self.is_set_up = true;
            }
            // Events, and the first stop of a new thread.
            libc::SIGTRAP | libc::SIGSTOP => {}
            signal => delivered = signal,
        }
        request(libc::PTRACE_SYSCALL, thread, delivered)?;
        Ok(false)
    }

    /// Counts the system call that a thread is about to make.
    fn count(&mut self, thread: libc::pid_t) -> Result<()> {
        let Some(number) = entered(thread)? else { return Ok(()) };
        if number == MARK {
            self.windows.push(Window::new());
        } else if let Some(window) = self.windows.last_mut() {
            *window.entry(number).or_default() += 1;
        }
        Ok(())
    }
}

/// The number of the system call that a stopped thread enters; `None` if it leaves one.
fn entered(thread: libc::pid_t) -> Result<Option<i64>> {
    // SAFETY: plain numbers, for which zeros are values.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = ptr::without_provenance_mut::<libc::c_void>(size_of_val(&info));
    // SAFETY: a stopped thread of a child; writes at most this many bytes.
    let told = unsafe {
        libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, (&raw mut info).cast::<()>())
    };
    ensure!(told > 0, "cannot trace: {}", std::io::Error::last_os_error());
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: the field of an entry.
    let number = unsafe { info.u.entry.nr };
    Ok(Some(i64::try_from(number)?))
}

/// Waits until a traced thread stops or ends; `None` if there is none left.
fn wait() -> Result<Option<(libc::pid_t, libc::c_int)>> {
    let mut status = 0;
    loop {
        // SAFETY: writes the status.
        let waited = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if waited > 0 {
            return Ok(Some((waited, status)));
        }
        match std::io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == std::io::ErrorKind::Interrupted => {}
            error => bail!("cannot wait for the process that is counted: {error}"),
        }
    }
}

/// Asks something about a stopped thread.
fn request(what: libc::c_uint, thread: libc::pid_t, number: libc::c_int) -> Result<()> {
    let number = ptr::without_provenance_mut::<libc::c_void>(usize::try_from(number)?);
    // SAFETY: a stopped thread of a child; these requests take numbers and no addresses.
    let status = unsafe { libc::ptrace(what, thread, ptr::null_mut::<libc::c_void>(), number) };
    let error = std::io::Error::last_os_error();
    // A thread that the end of its process has taken meanwhile.
    let is_gone = error.raw_os_error() == Some(libc::ESRCH);
    ensure!(status == 0 || is_gone, "cannot trace: {error}");
    Ok(())
}
