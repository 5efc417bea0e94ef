//! What the library says, handed to the client's log library.
//!
//! `libsimpler_log.so` is loaded before this library, for all of the process (spec hbg C7), and has the
//! levels and the sink that all libraries share. It is found by name; where it is not there, or is
//! the one of somebody else, nothing is said. This library itself prints nothing.
//!
//! ```text
//!  executor, orchestrations ──┐
//!  host-runner: tracing ──────┴─▶ Forward ──▶ simpler_rs_log_v1_write ──▶ the client's sink
//! ```

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::{self, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use aicpu_executor::log::{Level, set_level, set_verbosity};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// `simpler_rs_log_v1_write`.
type Write = unsafe extern "C" fn(c_int, c_int, *const c_char, *const c_char);
/// `simpler_rs_log_v1_set_levels`.
type SetLevels = unsafe extern "C" fn(c_int, c_int);
/// `simpler_rs_sim_context_v1_bind`.
type Bind = unsafe extern "C" fn(c_int);

/// The log library's function; null before it is found.
static WRITE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Severity from which events are passed on: 0 debug, 1 info, 2 warn, 3 error, 4 none.
static LEVEL: AtomicI32 = AtomicI32::new(INFO);

const DEBUG: c_int = 0;
const INFO: c_int = 1;
const WARN: c_int = 2;
const ERROR: c_int = 3;
const NONE: c_int = 4;

/// Tier of an event that has none of its own: what is shown by default (spec hbg C7).
const DEFAULT_TIER: i64 = 5;
/// The highest tier: what must be seen.
const HIGHEST_TIER: c_int = 9;

/// Hands events on to the log library, if it is in the process by now.
pub(crate) fn forward() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // In a library nobody has set one; in a program of our own, its subscriber stays.
        let _ = tracing::subscriber::set_global_default(Forward);
    });
    if let Some(write) = global(c"simpler_rs_log_v1_write") {
        // ORDERING: Relaxed: a function of a library that stays; nothing else goes with it.
        WRITE.store(write, Ordering::Relaxed);
    }
}

/// Sets what is passed on, for all of the process: severities from `level`, info from tier `info_v`.
/// What is out of range is taken for the nearest that is not.
pub(crate) fn set_levels(level: c_int, info_v: c_int) {
    let (level, info_v) = (level.clamp(DEBUG, NONE), info_v.clamp(0, HIGHEST_TIER));
    // ORDERING: Relaxed: an event more or less around the change does not matter.
    LEVEL.store(level, Ordering::Relaxed);
    set_level(match level {
        DEBUG => Some(Level::Debug),
        INFO => Some(Level::Info),
        WARN => Some(Level::Warn),
        ERROR => Some(Level::Error),
        _ => None,
    });
    // CAST: 0 to 9.
    set_verbosity(info_v as u8);
    if let Some(set) = global(c"simpler_rs_log_v1_set_levels") {
        // SAFETY: a function of that name has this type; the version is in the name.
        let set: SetLevels = unsafe { std::mem::transmute(set) };
        // SAFETY: it takes any numbers.
        unsafe { set(level, info_v) };
    }
}

/// Notes in the simulator's process-wide library that the calling thread uses a device; -1 is none.
pub(crate) fn bind_thread(device_id: c_int) {
    if let Some(bind) = global(c"simpler_rs_sim_context_v1_bind") {
        // SAFETY: a function of that name has this type; the version is in the name.
        let bind: Bind = unsafe { std::mem::transmute(bind) };
        // SAFETY: it takes any number.
        unsafe { bind(device_id) };
    }
}

/// The address of a name that a library has offered to all of the process.
fn global(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is ended.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// Takes the events of this library.
struct Forward;

impl Subscriber for Forward {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // What is passed on changes with the levels.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // ORDERING: Relaxed: see the writers.
        !WRITE.load(Ordering::Relaxed).is_null()
            && severity(metadata) >= LEVEL.load(Ordering::Relaxed)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { text: String::new(), origin: None, tier: DEFAULT_TIER };
        event.record(&mut line);
        let origin = line.origin.unwrap_or_else(|| event.metadata().target().to_owned());
        let ended = |text: String| CString::new(text.replace('\0', " ")).unwrap_or_default();
        let (origin, text) = (ended(origin), ended(line.text));
        // CAST: tiers are 0 to 9.
        let tier = line.tier.clamp(0, HIGHEST_TIER.into()) as c_int;
        // ORDERING: Relaxed: see the writer.
        let write = WRITE.load(Ordering::Relaxed);
        if !write.is_null() {
            // SAFETY: only a function of this type is ever stored.
            let write: Write = unsafe { std::mem::transmute(write) };
            // SAFETY: both texts are ended and live until it returns.
            unsafe { write(severity(event.metadata()), tier, origin.as_ptr(), text.as_ptr()) };
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The number of an event's severity.
fn severity(metadata: &Metadata<'_>) -> c_int {
    match *metadata.level() {
        tracing::Level::ERROR => ERROR,
        tracing::Level::WARN => WARN,
        tracing::Level::INFO => INFO,
        _ => DEBUG,
    }
}

/// An event as one line.
struct Line {
    text: String,
    origin: Option<String>,
    tier: i64,
}

impl Line {
    /// Adds where a statement is.
    fn add_place(&mut self, place: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, " ({place})");
    }

    /// Adds a field; writing to a string cannot fail.
    fn add(&mut self, name: &str, value: &dyn fmt::Debug) {
        if name == "message" {
            // The message first, the fields behind it.
            self.text.insert_str(0, &format!("{value:?}"));
        } else {
            let _ = write!(self.text, ", {name}: {value:?}");
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "origin" => self.origin = Some(value.to_owned()),
            // File and line of the executor's statement.
            "at" => self.add_place(value),
            name => self.add(name, &format_args!("{value}")),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "verbosity" => self.tier = i64::try_from(value).unwrap_or(DEFAULT_TIER),
            // Clients of the reference's interface get texts as they were written.
            "thread" | "callable" => {}
            name => self.add(name, &value),
        }
    }
}
