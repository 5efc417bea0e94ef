//! Why a run ended early: the first fault, kept with its text.
//!
//! Any AICPU thread, an operation called by the orchestration, or the device around the executor
//! may report a fault. The first one wins; every wait of the executor looks at the latch, so a
//! fault ends the run on all threads. Later faults are consequences and are dropped.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

/// Bytes kept of a fault's text: as much of a message as the reference keeps (spec trb §2.1), and
/// the name of the function that reports it.
pub const FAULT_TEXT_BYTES: usize = 1024 + 128;

/// The text of a fault: what happened, where, and the numbers that matter.
pub type FaultText = heapless::String<FAULT_TEXT_BYTES>;

/// The first fault of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Positive status code: one of `protocol::StatusCode`, or whatever number the orchestration
    /// passed to `rt_report_fatal`.
    pub code: i32,
    /// What happened.
    pub text: FaultText,
}

/// Holds the first fault of a run.
#[derive(Debug, Default)]
pub struct FaultLatch {
    /// Whether `fault` is set; the flag that hot loops look at.
    raised: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

impl FaultLatch {
    /// An empty latch.
    pub const fn new() -> Self {
        Self { raised: AtomicBool::new(false), fault: Mutex::new(None) }
    }

    /// Whether a fault was reported.
    #[inline]
    pub fn is_raised(&self) -> bool {
        // ORDERING: Acquire pairs with the Release store in `report`: who sees the flag and then
        // reads the fault finds it set.
        self.raised.load(Ordering::Acquire)
    }

    /// Records a fault unless there is one already; returns the code that is latched afterwards.
    ///
    /// A `code` of 0 or below is stored as its magnitude, and 0 as 1: a fault is never success.
    pub fn report(&self, code: i32, text: fmt::Arguments<'_>) -> i32 {
        let mut slot = self.fault.lock();
        if let Some(first) = slot.as_ref() {
            return first.code;
        }
        let code = code.checked_abs().unwrap_or(i32::MAX).max(1);
        *slot = Some(Fault { code, text: bounded_text(text) });
        // ORDERING: see `is_raised`.
        self.raised.store(true, Ordering::Release);
        code
    }

    /// The latched code, 0 without a fault.
    pub fn code(&self) -> i32 {
        if !self.is_raised() {
            return 0;
        }
        self.fault.lock().as_ref().map_or(0, |fault| fault.code)
    }

    /// Shows the latched fault, if there is one.
    pub(crate) fn with_fault(&self, show: impl FnOnce(&Fault)) {
        if self.is_raised()
            && let Some(fault) = self.fault.lock().as_ref()
        {
            show(fault);
        }
    }

    /// Empties the latch and returns what was in it. Only between runs.
    ///
    /// Most runs have none: a fault is not small, and nothing of it is moved then.
    #[inline]
    pub fn take(&self) -> Option<Fault> {
        if self.is_raised() { self.take_raised() } else { None }
    }

    #[cold]
    fn take_raised(&self) -> Option<Fault> {
        let fault = self.fault.lock().take();
        // ORDERING: Relaxed: no run is in flight, and the next one starts through the gate of the
        // executor, which orders this store before it.
        self.raised.store(false, Ordering::Relaxed);
        fault
    }
}

/// Formats into a bounded string; what does not fit is cut at a character.
pub(crate) fn bounded_text<const N: usize>(text: fmt::Arguments<'_>) -> heapless::String<N> {
    struct Cut<'a, const N: usize>(&'a mut heapless::String<N>);

    impl<const N: usize> fmt::Write for Cut<'_, N> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            for character in piece.chars() {
                if self.0.push(character).is_err() {
                    return Err(fmt::Error);
                }
            }
            Ok(())
        }
    }

    let mut kept = heapless::String::new();
    // A full buffer is the only error, and cutting the text is what is wanted then.
    let _cut = fmt::write(&mut Cut(&mut kept), text);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_fault_and_drops_later_ones() {
        let latch = FaultLatch::new();
        assert!(!latch.is_raised());
        assert_eq!(latch.report(9, format_args!("first {}", 1)), 9);
        assert_eq!(latch.report(5, format_args!("second")), 9);
        let fault = latch.take().expect("a fault was reported");
        assert_eq!((fault.code, fault.text.as_str()), (9, "first 1"));
        assert_eq!((latch.is_raised(), latch.code(), latch.take()), (false, 0, None));
    }

    #[test]
    fn a_code_that_would_read_as_success_becomes_a_failure() {
        for (given, kept) in [(0, 1), (-7, 7), (i32::MIN, i32::MAX)] {
            assert_eq!(FaultLatch::new().report(given, format_args!("")), kept);
        }
    }

    #[test]
    fn text_is_cut_at_a_character_and_never_lost_whole() {
        let text: heapless::String<4> = bounded_text(format_args!("abc\u{e9}\u{e9}"));
        assert_eq!(text.as_str(), "abc");
    }
}
