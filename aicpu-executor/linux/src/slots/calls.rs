//! Counts the system calls that slots make, in tests: what a load costs is how many there are.

/// A call that changes mappings, or what is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Map,
    Protect,
    Advise,
    Write,
}

/// Notes a call that is about to be made. Nothing, outside tests.
#[cfg(not(test))]
pub(super) const fn note(_call: Call) {}

#[cfg(test)]
pub(super) use counting::{note, noted};

#[cfg(test)]
mod counting {
    use std::cell::RefCell;
    use std::vec::Vec;

    use super::Call;

    std::thread_local! {
        static NOTED: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    }

    pub(in super::super) fn note(call: Call) {
        NOTED.with_borrow_mut(|noted| noted.push(call));
    }

    /// The calls that this thread has made since it was last asked.
    pub(in super::super) fn noted() -> Vec<Call> {
        NOTED.take()
    }
}
