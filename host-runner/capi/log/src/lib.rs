//! `libsimpler_log.so`: levels and sink of the log, which all libraries of a process share.
//!
//! Existing clients load a library of this name first, once and for all of the process, and ask nothing
//! of it (spec callable §2.2, hbg C7); its levels come through `simpler_init`. The reference's names are
//! not part of any specification, so these functions have names of our own; our host libraries find
//! them with `dlsym`. `include/simpler_log.h` documents them for C.
//!
//! Without a sink nothing is written anywhere: libraries do not print.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{PoisonError, RwLock};

/// Severity of info records, the only ones with a tier.
const INFO: c_int = 1;
/// Severity above all records.
const NONE: c_int = 4;
/// The highest tier.
const HIGHEST_TIER: c_int = 9;

/// Takes a record: severity, tier, who speaks, text, and what was given with the sink.
pub type Sink = unsafe extern "C" fn(c_int, c_int, *const c_char, *const c_char, *mut c_void);

/// Severity from which records are passed on.
static LEVEL: AtomicI32 = AtomicI32::new(INFO);
/// Tier from which info records are passed on.
static INFO_TIER: AtomicI32 = AtomicI32::new(5);
/// Where records go.
static SINK: RwLock<Option<Receiver>> = RwLock::new(None);

/// A sink with its argument.
#[derive(Debug, Clone, Copy)]
struct Receiver {
    sink: Sink,
    user: *mut c_void,
}

// SAFETY: the client promises that its sink may be called from any thread with its argument.
unsafe impl Send for Receiver {}
// SAFETY: as above.
unsafe impl Sync for Receiver {}

/// Sets what is passed on: severities from `level` (0 debug, 1 info, 2 warn, 3 error, 4 none) and info
/// records from tier `info_v` (0 to 9). What is out of range is taken for the nearest that is not.
#[unsafe(no_mangle)]
pub extern "C" fn simpler_rs_log_v1_set_levels(level: c_int, info_v: c_int) {
    // ORDERING: Relaxed: a record more or less around the change does not matter.
    LEVEL.store(level.clamp(0, NONE), Ordering::Relaxed);
    // ORDERING: Relaxed: as above.
    INFO_TIER.store(info_v.clamp(0, HIGHEST_TIER), Ordering::Relaxed);
}

/// The severity from which records are passed on.
#[unsafe(no_mangle)]
pub extern "C" fn simpler_rs_log_v1_level() -> c_int {
    // ORDERING: Relaxed: see `simpler_rs_log_v1_set_levels`.
    LEVEL.load(Ordering::Relaxed)
}

/// The tier from which info records are passed on.
#[unsafe(no_mangle)]
pub extern "C" fn simpler_rs_log_v1_info_v() -> c_int {
    // ORDERING: Relaxed: see `simpler_rs_log_v1_set_levels`.
    INFO_TIER.load(Ordering::Relaxed)
}

/// Sets where records go; NULL is nowhere. When this returns, the sink before is not called any more.
///
/// # Safety
///
/// The sink may be called from any thread with `user` until it is replaced. It does not unwind, and
/// calls neither this function nor one of a host library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_log_v1_set_sink(sink: Option<Sink>, user: *mut c_void) {
    let receiver = sink.map(|sink| Receiver { sink, user });
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = receiver;
}

/// Passes a record on, if levels and sink are for it.
///
/// # Safety
///
/// Both texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_log_v1_write(
    level: c_int,
    info_v: c_int,
    origin: *const c_char,
    text: *const c_char,
) {
    let is_wanted = level >= simpler_rs_log_v1_level()
        && (level != INFO || info_v >= simpler_rs_log_v1_info_v());
    if !is_wanted || origin.is_null() || text.is_null() {
        return;
    }
    // Held while the sink is called, so that a sink that was replaced is not called any more.
    if let Some(Receiver { sink, user }) = *SINK.read().unwrap_or_else(PoisonError::into_inner) {
        // SAFETY: the client promised so when it set the sink; the texts are the caller's promise.
        unsafe { sink(level, info_v, origin, text, user) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::sync::Mutex;

    unsafe extern "C" fn collect(
        level: c_int,
        tier: c_int,
        origin: *const c_char,
        text: *const c_char,
        user: *mut c_void,
    ) {
        // SAFETY: the test passes a vector behind a lock, and ended texts.
        let (lines, origin, text) = unsafe {
            (&*user.cast::<Mutex<Vec<String>>>(), CStr::from_ptr(origin), CStr::from_ptr(text))
        };
        lines.lock().unwrap().push(format!("{level} {tier} {origin:?} {text:?}"));
    }

    #[test]
    fn records_go_to_the_sink_if_levels_let_them_and_nowhere_without_one() {
        let lines = Mutex::new(Vec::<String>::new());
        let user = (&raw const lines).cast_mut().cast();
        let write = |level, tier| {
            // SAFETY: the texts are ended.
            unsafe { simpler_rs_log_v1_write(level, tier, c"here".as_ptr(), c"it".as_ptr()) };
        };
        write(3, 0);
        // SAFETY: the vector lives until the sink is taken away.
        unsafe { simpler_rs_log_v1_set_sink(Some(collect), user) };
        for (level, tier) in [(0, 9), (1, 4), (1, 5), (2, 0), (3, 0)] {
            write(level, tier);
        }
        simpler_rs_log_v1_set_levels(99, -1);
        assert_eq!((simpler_rs_log_v1_level(), simpler_rs_log_v1_info_v()), (4, 0));
        write(3, 0);
        // SAFETY: no sink needs nothing.
        unsafe { simpler_rs_log_v1_set_sink(None, std::ptr::null_mut()) };
        simpler_rs_log_v1_set_levels(0, 0);
        write(3, 0);
        let expected = ["1 5", "2 0", "3 0"].map(|it| format!("{it} \"here\" \"it\""));
        assert_eq!(*lines.lock().unwrap(), expected);
    }
}
