//! The edge of the library: nothing but a value leaves it.
//!
//! Every C function runs inside [`call`] or [`with_context`]. A failure is kept as text, for the
//! context and for the calling thread; a panic is a failure like any other.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::context::Context;
use crate::failure::Failure;
use crate::handles::CONTEXTS;

thread_local! {
    /// The text of the last failure of this thread, whatever context it was in.
    static LAST_OF_THREAD: RefCell<String> = const { RefCell::new(String::new()) };
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a C function returns, and what of it says that it failed.
pub(crate) trait Answer {
    /// The value for a failure.
    fn of(failure: &Failure) -> Self;
}

impl Answer for () {
    fn of(_: &Failure) -> Self {}
}

impl Answer for c_int {
    fn of(failure: &Failure) -> Self {
        failure.code
    }
}

impl Answer for usize {
    fn of(_: &Failure) -> Self {
        0
    }
}

impl Answer for u64 {
    fn of(_: &Failure) -> Self {
        0
    }
}

impl Answer for *mut c_void {
    fn of(_: &Failure) -> Self {
        std::ptr::null_mut()
    }
}

/// Runs a call that has no context.
pub(crate) fn call<T: Answer>(body: impl FnOnce() -> Result<T, Failure>) -> T {
    caught(body).unwrap_or_else(|failure| {
        note(&failure);
        T::of(&failure)
    })
}

/// Runs a call on the context of a handle.
pub(crate) fn with_context<T: Answer>(
    handle: *mut c_void,
    body: impl FnOnce(&Context) -> Result<T, Failure>,
) -> T {
    call(|| {
        let context = CONTEXTS.find(handle).ok_or_else(|| no_context(handle))?;
        caught(|| body(&context)).inspect_err(|failure| context.note(failure))
    })
}

/// What is wrong with a handle that names no context.
pub(crate) fn no_context(handle: *mut c_void) -> Failure {
    Failure::refused(if handle.is_null() {
        String::from("the context is NULL")
    } else {
        format!("{handle:p} is no context of this library, or it was destroyed")
    })
}

/// The text of the calling thread's last failure; empty before the first, and on a thread that is
/// ending: functions that the client has registered for its exit come after its variables.
pub(crate) fn last_of_thread() -> String {
    let text = LAST_OF_THREAD.try_with(|text| text.try_borrow().map(|text| text.clone()));
    text.ok().and_then(Result::ok).unwrap_or_default()
}

/// From now on panics of this library are told by [`Failure`]s only, and not printed as well.
///
/// The library has a standard library of its own, so this changes nothing for the client.
pub(crate) fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%place, "a defect in the library: a thread panicked");
            // A thread that is ending has no variable any more, and nobody to ask it.
            let _ = PLACE.try_with(|kept| kept.try_borrow_mut().map(|mut kept| *kept = place));
        }));
    });
}

fn caught<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What a panic can leave half changed is inside `host-runner`, which is written for that, or
    // behind locks of `Context`, which are left as they were.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(panicked(payload)))
}

fn panicked(payload: Box<dyn Any + Send>) -> Failure {
    let mut failure = Failure::of_panic(payload);
    let place =
        PLACE.try_with(|place| place.try_borrow_mut().map(|mut it| std::mem::take(&mut *it)));
    if let Ok(Ok(place)) = place
        && !place.is_empty()
    {
        failure.text.push_str(" at ");
        failure.text.push_str(&place);
    }
    failure
}

fn note(failure: &Failure) {
    // See `last_of_thread`; the context keeps its text in any case.
    let _ending = LAST_OF_THREAD
        .try_with(|text| text.try_borrow_mut().map(|mut text| text.clone_from(&failure.text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::{RuntimeName, Variant};
    use host_runner::worker::PlatformName;

    #[test]
    fn a_panic_in_a_call_becomes_its_failure_value_and_a_text() {
        let variant = Variant { platform: PlatformName::A2a3Sim, runtime: RuntimeName::Trb };
        let context = CONTEXTS.publish(std::sync::Arc::new(Context::new(variant)));
        let code: c_int = with_context(context, |_| panic!("injected {}", 7));
        assert_eq!(code, -1);
        let kept = CONTEXTS.find(context).unwrap().last_error();
        assert!(kept.contains("defect") && kept.contains("injected 7"), "{kept}");
        assert_eq!(last_of_thread(), kept);
        let address: *mut c_void = with_context(context, |_| panic!("again"));
        assert!(address.is_null());
        // The context goes on working.
        assert_eq!(with_context::<c_int>(context, |context| context.init(0).map(|()| 0)), 0);
        CONTEXTS.withdraw(context);
    }

    #[test]
    fn a_handle_that_names_nothing_is_a_failure() {
        let touch = |handle| with_context::<c_int>(handle, |_| Ok(0));
        assert_eq!(touch(std::ptr::null_mut()), -1);
        assert!(last_of_thread().contains("NULL"));
        assert_eq!(touch(std::ptr::without_provenance_mut(0x1234)), -1);
        assert!(last_of_thread().contains("no context"));
    }
}
