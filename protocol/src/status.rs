//! Why a run or a load ended the way it did, as numbers that cross every boundary.
//!
//! The numbers up to 199 are the reference's (spec trb §12): orchestrations pass them to
//! `rt_report_fatal`, and the host reports a failed run as their negative. From 200 on they are
//! ours, one for each failure that the reference folds into −1. Numbers are frozen: add, never
//! renumber. An orchestration may also end a run with a number of its own, which names no variant.

use core::fmt;

/// Declares [`StatusCode`] from one row per code.
macro_rules! status_codes {
    ($($variant:ident = $code:literal, $name:literal,
        $meaning:literal,
        $remedy:literal;)+) => {
        /// Outcome of a run or a load.
        #[repr(i32)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum StatusCode {
            $(
                #[doc = concat!($meaning, ".")]
                $variant = $code,
            )+
        }

        impl StatusCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the code of this number, or `None` for one that an orchestration made up.
            ///
            /// The sign does not matter: hosts report the negative of what the device stored.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code.unsigned_abs() {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Returns the short upper-case name, without a prefix.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns what happened, as a clause without a full stop.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }

            /// Returns what to do next, as a clause without a full stop; empty for success.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$variant => $remedy,)+
                }
            }
        }
    };
}

status_codes! {
    None = 0, "NONE",
        "success",
        "";
    ScopeDeadlock = 1, "SCOPE_DEADLOCK",
        "one scope holds as many tasks as its ring has slots, so no slot can ever become free",
        "split the scope, or raise the task window";
    HeapRingDeadlock = 2, "HEAP_RING_DEADLOCK",
        "the heap ring stayed full: the outputs of open scopes need more than its bytes",
        "close scopes earlier, or raise the heap size per ring";
    FlowControlDeadlock = 3, "FLOW_CONTROL_DEADLOCK",
        "the task ring stayed full: no task of it was released in time",
        "raise the task window, or look for a task that never ends";
    DepPoolOverflow = 4, "DEP_POOL_OVERFLOW",
        "the pool of dependency edges is exhausted",
        "raise the dependency pool size, or give tasks fewer dependencies";
    InvalidArgs = 5, "INVALID_ARGS",
        "a call of the orchestration carried arguments that break its contract",
        "the message names the call and the argument; correct them in the orchestration";
    DependencyOverflow = 6, "DEPENDENCY_OVERFLOW",
        "a task depends on more tasks than can be recorded",
        "give the task fewer dependencies";
    RequireSyncStartInvalid = 7, "REQUIRE_SYNC_START_INVALID",
        "a task that must start on all cores at once asks for more blocks than there are cores",
        "lower its block count, or run with more clusters";
    TensorWaitTimeout = 8, "TENSOR_WAIT_TIMEOUT",
        "reading or writing a tensor element waited too long for the tasks that use the tensor",
        "look for a producer that never ends, or a consumer that was never submitted";
    ExplicitFatal = 9, "EXPLICIT_ORCH_FATAL",
        "the orchestration reported a fatal error of its own",
        "read the message that it logged";
    SchedulerTimeout = 100, "SCHEDULER_TIMEOUT",
        "no task made progress for the whole stall timeout",
        "look for a kernel that never ends or a counter that nobody raises, or raise the stall timeout";
    AsyncCompletionInvalid = 101, "ASYNC_COMPLETION_INVALID",
        "a kernel deferred its completion to a condition that makes no sense",
        "check address, engine and type of the kernel's deferred conditions";
    AsyncWaitOverflow = 102, "ASYNC_WAIT_OVERFLOW",
        "more deferred tasks or conditions are waiting than can be recorded",
        "defer fewer tasks at a time, or register fewer conditions in the kernel";
    AsyncRegistrationFailed = 103, "ASYNC_REGISTRATION_FAILED",
        "the conditions of a deferred task could not be recorded",
        "register fewer conditions in the kernel";
    LoadFailed = 200, "LOAD_FAILED",
        "the orchestration image could not be loaded",
        "check that it is a shared object for this machine and needs no other library";
    EntryMissing = 201, "ENTRY_MISSING",
        "the orchestration image does not export the entry symbol",
        "export it with C linkage, or name the right entry in the callable";
    ArgCountMismatch = 202, "ARG_COUNT_MISMATCH",
        "the run passes fewer arguments than the orchestration's configuration expects",
        "pass every tensor and scalar that the orchestration reads";
    KernelMissing = 203, "KERNEL_MISSING",
        "a submitted task names a func id for which the callable has no kernel",
        "add the kernel to the callable, or submit another func id";
    EntryException = 204, "ENTRY_EXCEPTION",
        "a C++ exception left the orchestration: its entry, its config function or a constructor",
        "catch it where it is thrown; the message says what was thrown";
    CallableIdInvalid = 205, "CALLABLE_ID_INVALID",
        "the callable id is outside the table",
        "use the id that registration returned";
    CallableNotLoaded = 206, "CALLABLE_NOT_LOADED",
        "the callable's slot holds no loaded orchestration",
        "register the callable before the run";
    HandshakeTimeout = 207, "HANDSHAKE_TIMEOUT",
        "a core did not answer during bring-up",
        "check that all cores were launched; reset the device if it stays silent";
    ThreadCountInvalid = 208, "THREAD_COUNT_INVALID",
        "the number of AICPU threads is outside what the chip has",
        "use at least 1 and at most the chip's limit";
    RegionTooSmall = 209, "REGION_TOO_SMALL",
        "a memory region is smaller than the run's settings need",
        "lower task window, heap or pool size, or allocate a larger region";
    KernelException = 210, "KERNEL_EXCEPTION",
        "a kernel ended with an exception instead of returning",
        "run the kernel alone with the same arguments to find the cause";
    StaleCallable = 211, "STALE_CALLABLE",
        "the callable's slot was reused since the handle was made",
        "register the callable again and use the new handle";
    TooManyCores = 212, "TOO_MANY_CORES",
        "the run asks for more cores than the chip or its scheduler threads can serve",
        "lower the block dimension, or use more AICPU threads";
    ConstructorTimeout = 213, "CONSTRUCTOR_TIMEOUT",
        "a constructor of the orchestration has not returned in time",
        "look for an endless loop in it, do its work in the entry, or raise the time limit of the run";
    DestructorTimeout = 214, "DESTRUCTOR_TIMEOUT",
        "a destructor of an orchestration has not returned in time",
        "look for an endless loop in it; memory need not be freed there, for it goes with the image";
    CallableBusy = 215, "CALLABLE_BUSY",
        "the callable's code is in use, or on its way in or out",
        "wait for the run or the unloading to end, and try again";
    CallableQuarantined = 216, "CALLABLE_QUARANTINED",
        "the callable's slot is closed: a thread has not come back from its code",
        "use another callable id, or a fresh device";
    OperationUnknown = 217, "OPERATION_UNKNOWN",
        "the record asks for an operation that the executor does not know",
        "build host and executor from the same version";
    GraphInvalid = 218, "GRAPH_INVALID",
        "the graph that the host handed over, its patches or its workspace make no sense",
        "build host and executor from the same version; nothing else may write to its memory";
}

impl StatusCode {
    /// Returns the number stored by the device; its negative is what the host reports.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Returns whether this is [`StatusCode::None`].
    pub const fn is_success(self) -> bool {
        matches!(self, Self::None)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, name, meaning) = (self.code(), self.name(), self.meaning());
        if self.is_success() {
            return f.write_str(meaning);
        }
        write!(f, "{name} ({code}): {meaning}; {}", self.remedy())
    }
}

impl core::error::Error for StatusCode {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_frozen() {
        let codes: std::vec::Vec<i32> =
            StatusCode::ALL.iter().map(|status| status.code()).collect();
        let expected: std::vec::Vec<i32> = (0..=9).chain(100..=103).chain(200..=218).collect();
        assert_eq!(codes, expected);
        assert_eq!(StatusCode::ExplicitFatal.code(), 9);
        assert_eq!(StatusCode::AsyncRegistrationFailed.code(), 103);
        assert_eq!(StatusCode::TooManyCores.code(), 212);
        assert_eq!(StatusCode::CallableQuarantined.code(), 216);
        assert_eq!(StatusCode::OperationUnknown.code(), 217);
    }

    #[test]
    fn code_is_found_by_its_number_and_by_the_negative() {
        for &status in StatusCode::ALL {
            assert_eq!(StatusCode::from_code(status.code()), Some(status));
            assert_eq!(StatusCode::from_code(-status.code()), Some(status));
        }
        for unknown in [10, 99, 104, 199, 219, -10, i32::MAX, i32::MIN] {
            assert_eq!(StatusCode::from_code(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_failure_has_texts_of_its_own() {
        let failures = || StatusCode::ALL.iter().filter(|status| !status.is_success());
        let count = failures().count();
        let distinct = |text: fn(StatusCode) -> &'static str| {
            failures().map(|&status| text(status)).collect::<BTreeSet<_>>()
        };
        assert_eq!(distinct(StatusCode::name).len(), count);
        assert_eq!(distinct(StatusCode::meaning).len(), count);
        assert!(!distinct(StatusCode::remedy).contains(""));
    }

    #[test]
    fn display_shows_name_number_meaning_and_remedy() {
        let text = std::format!("{}", StatusCode::KernelMissing);
        assert!(text.starts_with("KERNEL_MISSING (203): "), "{text}");
        assert!(text.ends_with(StatusCode::KernelMissing.remedy()), "{text}");
    }
}
