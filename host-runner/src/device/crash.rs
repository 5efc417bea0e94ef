//! How code of the user ended the process that a device is in.

use std::fmt;

use protocol::{CallableId, FuncId};

/// What is said of an address in the message, at most.
const FRAMES_SAID: usize = 6;

/// A crash of code of the user, on a device in a process of its own.
///
/// Prints as "SIGSEGV at 0x0 in the kernel of func_id 2 on core 5: kernel_entry+0x1c, called by …".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crash {
    /// The signal.
    pub signal: i32,
    /// The address that was touched or executed, if the signal is about one and the processor tells: x86-64 does not
    /// where the address is not canonical, as most random numbers are.
    pub address: Option<u64>,
    /// Whether the address is where the stack of the thread ends.
    pub is_stack_overflow: bool,
    /// What the thread was in.
    pub inside: CrashedIn,
    /// The calls, the innermost first; those of the system's libraries and of the device are among them.
    pub frames: Vec<CrashFrame>,
}

/// Whose code ended the process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashedIn {
    /// A kernel.
    Kernel {
        /// Index of the core.
        core: u32,
        /// Its func id in the callable that was run, if it is one of it.
        func_id: Option<FuncId>,
    },
    /// The orchestration of the callable that was run.
    Orchestration {
        /// The callable.
        callable: CallableId,
    },
    /// A constructor or destructor of an orchestration, while it was loaded or unloaded.
    Loading {
        /// The callable.
        callable: CallableId,
    },
    /// A constructor or destructor of a kernel, while it was loaded or unloaded.
    LoadingKernel,
    /// Something else: a thread of the device, by its name.
    Other {
        /// The name.
        thread: String,
    },
}

/// A call in the back-trace of a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashFrame {
    /// The instruction, or where the call returns to.
    pub address: u64,
    /// What it is in, if that is code of the user: "callable 3", "func_id 2".
    pub image: Option<String>,
    /// The function as the source calls it.
    pub symbol: Option<String>,
    /// Bytes from the start of the function, or without one the address as linked.
    pub offset: u64,
}

/// Name of a signal, as `kill -l` has it.
pub(crate) fn signal_name(signal: i32) -> String {
    let known = [
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGXCPU, "SIGXCPU"),
    ];
    let found = known.iter().find(|(number, _)| *number == signal);
    found.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signal_name(self.signal))?;
        match self.address {
            Some(address) if self.is_stack_overflow => {
                write!(f, " at {address:#x}, where the stack ends,")?;
            }
            Some(address) => write!(f, " at {address:#x}")?,
            None => {}
        }
        write!(f, " in {}", self.inside)?;
        let said = self.frames.iter().filter(|frame| frame.image.is_some()).take(FRAMES_SAID);
        for (index, frame) in said.enumerate() {
            f.write_str(if index == 0 { ": " } else { ", called by " })?;
            write!(f, "{frame}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CrashedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { core, func_id: Some(id) } => {
                write!(f, "the kernel of func_id {id} on core {core}")
            }
            Self::Kernel { core, func_id: None } => write!(f, "a kernel on core {core}"),
            Self::Orchestration { callable } => {
                write!(f, "the orchestration of callable {callable}")
            }
            Self::Loading { callable } => {
                write!(f, "a constructor or destructor of the orchestration of callable {callable}")
            }
            Self::LoadingKernel => f.write_str("a constructor or destructor of a kernel"),
            Self::Other { thread } => write!(f, "the device's thread {thread:?}"),
        }
    }
}

impl fmt::Display for CrashFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.symbol.as_deref().unwrap_or_default(), self.offset)?;
        match &self.image {
            Some(image) => write!(f, " ({image})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_says_signal_place_and_the_calls_of_the_user() {
        let frame = |image: Option<&str>, symbol: &str, offset| CrashFrame {
            address: 1,
            image: image.map(str::to_owned),
            symbol: Some(symbol.to_owned()),
            offset,
        };
        let mut crash = Crash {
            signal: libc::SIGSEGV,
            address: Some(0),
            is_stack_overflow: false,
            inside: CrashedIn::Kernel { core: 5, func_id: FuncId::new(2).ok() },
            frames: vec![
                frame(None, "abort", 4),
                frame(Some("func_id 2"), "deep", 8),
                frame(Some("func_id 2"), "kernel_entry", 28),
            ],
        };
        let expected = "SIGSEGV at 0x0 in the kernel of func_id 2 on core 5: deep+0x8 (func_id 2), \
                        called by kernel_entry+0x1c (func_id 2)";
        assert_eq!(crash.to_string(), expected);
        (crash.is_stack_overflow, crash.frames) = (true, Vec::new());
        assert!(crash.to_string().contains("0x0, where the stack ends, in the kernel"));
        assert_eq!(signal_name(64), "signal 64");
    }
}
