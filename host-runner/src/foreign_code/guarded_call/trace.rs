//! Through which calls a C++ exception came.
//!
//! While the unwinder looks for a handler (search phase), every frame between `throw` and the guard
//! is still there; when the guard gets the exception, they are gone. So the return addresses are
//! noted when the guard's personality routine is asked, without memory of the allocator.

use core::cell::Cell;
use core::ffi::{c_int, c_void};

/// Calls that are noted, the innermost first; the unwinder's own are among them.
const CALLS_MAX: usize = 32;

/// `_URC_NO_REASON`: go on.
const NO_REASON: c_int = 0;
/// `_URC_END_OF_STACK`: that is enough.
const END_OF_STACK: c_int = 5;

/// Return addresses, the innermost first.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    addresses: [u64; CALLS_MAX],
    count: usize,
}

impl Trace {
    const EMPTY: Self = Self { addresses: [0; CALLS_MAX], count: 0 };

    /// The addresses.
    pub fn addresses(&self) -> &[u64] {
        self.addresses.get(..self.count).unwrap_or_default()
    }
}

thread_local! {
    /// Of the last exception that a guard of this thread caught.
    static LAST: Cell<Trace> = const { Cell::new(Trace::EMPTY) };
}

unsafe extern "C" {
    /// Visits every frame from the caller outwards, until the visitor wants no more.
    fn _Unwind_Backtrace(
        visit: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Through which calls the exception came that a guard of this thread has just caught.
pub fn last() -> Trace {
    LAST.get()
}

/// Notes the calls that are there now.
pub(super) fn record() {
    let mut trace = Trace::EMPTY;
    // SAFETY: `visit` gets exactly this pointer, which is ours for the duration of the call. The
    // walk reads frames only: a search that is under way on this thread has state of its own.
    unsafe { _Unwind_Backtrace(visit, (&raw mut trace).cast::<c_void>()) };
    LAST.set(trace);
}

/// Notes one frame.
///
/// # Safety
///
/// `context` is the unwinder's, `trace` points to a live [`Trace`] that nobody else uses.
unsafe extern "C" fn visit(context: *mut c_void, trace: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    let (trace, address) = unsafe { (&mut *trace.cast::<Trace>(), _Unwind_GetIP(context)) };
    let Some(place) = trace.addresses.get_mut(trace.count) else { return END_OF_STACK };
    // CAST: usize is 64 bits on the supported targets.
    *place = address as u64;
    trace.count += 1;
    NO_REASON
}
