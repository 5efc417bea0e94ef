//! Shared objects of the user that run in this process: kernels of the simulated device, and
//! orchestrations of the hbg runtime.
//!
//! ```text
//! image ──image::check──▶ anonymous_library: memory only, constructors apart ──▶ library, entry
//!                                   on a user_thread, which has a limit              │
//!                                                    guarded_call: exceptions caught ◀┘
//! ```
//!
//! Such code may throw and may never return. What it throws becomes text; whoever waits for it gets an
//! error at the limit, and the thread that is in it is left behind.

pub mod anonymous_library;
pub mod guarded_call;
pub mod relay;
pub mod thread_start;
pub mod user_thread;

pub use anonymous_library::OpenError;
pub use user_thread::{NotDone, UserThread};
