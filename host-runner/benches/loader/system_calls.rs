//! Counts the system calls of an operation, exactly, without rights and without tools.
//!
//! ```text
//!  this process ── fork ──▶ child: asks to be traced, stops, repeats the operation, ends
//!       └── lets it run from system call to system call, and counts the stops
//! ```
//!
//! Two children with different numbers of repetitions are counted; the difference is that of the
//! operation alone. Where nobody may trace, a child forbids itself all system calls (seccomp's
//! strict mode) and repeats the operation: if it lives, the count is 0.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use anyhow::{Context, Result, bail, ensure};

/// What a child ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All repetitions were done.
    Done,
    /// One of them failed.
    Failed,
    /// What was to be arranged is not allowed here.
    NotAllowed,
    /// The system ended it.
    Killed,
}

/// How often an operation is repeated in a child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repetitions {
    /// First, for whatever only the first ones do.
    pub(crate) warm_up: u32,
    /// Behind that.
    pub(crate) counted: u32,
}

/// Exit codes of a child.
const DONE: libc::c_int = 0;
const FAILED: libc::c_int = 1;
const NOT_ALLOWED: libc::c_int = 2;

/// Counts the system calls of one `operation`, which returns whether it succeeded; `None` where
/// nothing can be said.
///
/// The process has one thread at that time, as a child that allocates memory needs.
///
/// # Errors
///
/// The operation fails in the child, or a child cannot be made or waited for.
pub(crate) fn count(
    operation: &mut dyn FnMut() -> bool,
    Repetitions { warm_up, counted }: Repetitions,
) -> Result<Option<f64>> {
    let few = traced(operation, warm_up)?;
    let many = traced(operation, warm_up + counted)?;
    let (Some(few), Some(many)) = (few, many) else {
        let lives = makes_none(operation, Repetitions { warm_up, counted })?;
        return Ok(lives.then_some(0.0));
    };
    Ok(Some((f64::from(many) - f64::from(few)) / f64::from(counted)))
}

/// System calls of a child that repeats the operation; `None` if it may not be traced.
fn traced(operation: &mut dyn FnMut() -> bool, repetitions: u32) -> Result<Option<u32>> {
    let child = fork(|| {
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: asks for something about this process; the pointers are not used.
        if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) } != 0 {
            return NOT_ALLOWED;
        }
        // SAFETY: stops this process until its parent lets it go on.
        unsafe { libc::raise(libc::SIGSTOP) };
        repeat(operation, repetitions)
    })?;
    let mut stops = 0;
    let mut is_first = true;
    loop {
        let status = wait(child)?;
        if let Some(end) = end_of(status) {
            return match end {
                // Each call has stopped it twice, but for the one that ended it.
                End::Done => Ok(Some(stops / 2)),
                End::NotAllowed => Ok(None),
                End::Failed => bail!("an operation failed in the process that is counted"),
                End::Killed => bail!("the process that is counted was killed"),
            };
        }
        let signal = libc::WSTOPSIG(status);
        let mut delivered = 0;
        if is_first {
            is_first = false;
            let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
            request(libc::PTRACE_SETOPTIONS, child, options)?;
        } else if signal == libc::SIGTRAP | 0x80 {
            stops += 1;
        } else {
            delivered = signal;
        }
        request(libc::PTRACE_SYSCALL, child, delivered)?;
    }
}

/// Whether a child that may make no system call survives the operation.
pub(crate) fn makes_none(
    operation: &mut dyn FnMut() -> bool,
    Repetitions { warm_up, counted }: Repetitions,
) -> Result<bool> {
    let child = fork(|| {
        let code = repeat(operation, warm_up);
        // SAFETY: takes numbers; from here on this process may read, write and end.
        let status = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
        if status != 0 {
            return NOT_ALLOWED;
        }
        code | repeat(operation, counted)
    })?;
    loop {
        match end_of(wait(child)?) {
            Some(End::Done) => return Ok(true),
            Some(End::NotAllowed | End::Killed) => return Ok(false),
            Some(End::Failed) => bail!("an operation failed in the process that is counted"),
            None => {}
        }
    }
}

/// Repeats an operation and returns the exit code.
fn repeat(operation: &mut dyn FnMut() -> bool, repetitions: u32) -> libc::c_int {
    for _ in 0..repetitions {
        if !operation() {
            return FAILED;
        }
    }
    DONE
}

/// Starts a child that does `work` and ends with its code.
fn fork(work: impl FnOnce() -> libc::c_int) -> Result<libc::pid_t> {
    // SAFETY: the child does nothing but the work, and ends without returning.
    let child = unsafe { libc::fork() };
    ensure!(child >= 0, "cannot fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(FAILED);
        // The plain call, since strict mode allows no other.
        // SAFETY: ends this process without running anything of its parent's.
        unsafe { libc::syscall(libc::SYS_exit, code) };
    }
    Ok(child)
}

/// Waits until a child stops or ends.
fn wait(child: libc::pid_t) -> Result<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: writes the status.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if waited == child {
            return Ok(status);
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("cannot wait for the process that is counted");
        }
    }
}

/// How a child ended; `None` if it has only stopped.
fn end_of(status: libc::c_int) -> Option<End> {
    if libc::WIFSIGNALED(status) {
        return Some(End::Killed);
    }
    libc::WIFEXITED(status).then(|| match libc::WEXITSTATUS(status) {
        DONE => End::Done,
        NOT_ALLOWED => End::NotAllowed,
        _ => End::Failed,
    })
}

/// Asks something about a stopped child.
fn request(what: libc::c_uint, child: libc::pid_t, number: libc::c_int) -> Result<()> {
    let number = ptr::without_provenance_mut::<libc::c_void>(usize::try_from(number)?);
    // SAFETY: a stopped child of this process; these requests take numbers and no addresses.
    let status = unsafe { libc::ptrace(what, child, ptr::null_mut::<libc::c_void>(), number) };
    ensure!(status == 0, "cannot trace: {}", std::io::Error::last_os_error());
    Ok(())
}
