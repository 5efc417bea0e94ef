//! Through which calls the exception came that ended a load.
//!
//! The exception is noted like every other (`foreign_code::guarded_call::trace`), but the code that threw it is gone
//! when the load has ended. So the thread that loads also remembers where it had put that code.

use std::cell::Cell;

use aicpu_executor::Fault;
use aicpu_executor::loaded_code::LoadedRange;
use protocol::StatusCode;

use crate::device::ThrowTrace;
use crate::foreign_code::guarded_call::trace;

thread_local! {
    /// The code that this thread has loaded last.
    static LOADED: Cell<Option<LoadedRange>> = const { Cell::new(None) };
}

/// This thread has put code in place, and will call its constructors.
pub fn note(range: LoadedRange) {
    LOADED.set(Some(range));
}

/// Where the fault of the last load of this thread was thrown, if it is an exception.
pub fn of_fault(fault: &Fault) -> Option<ThrowTrace> {
    if fault.code != StatusCode::EntryException.code() {
        return None;
    }
    let range = LOADED.get()?;
    let thrown = trace::last();
    let inside = thrown.addresses().iter().copied().filter(|&address| range.contains(address));
    Some(ThrowTrace { range, addresses: inside.collect() })
}
