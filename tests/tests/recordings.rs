//! Recordings: what a run of a callable of hbg did, done again with other contents, by other threads,
//! after failed runs and on other devices. The orchestrations put how often they were called into what
//! they compute, so each result says whether one was.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "recordings/memory.rs"]
mod memory;
#[path = "recordings/rebuilding.rs"]
mod rebuilding;
#[path = "recordings/refusals.rs"]
mod refusals;
#[path = "recordings/replaying.rs"]
mod replaying;
#[path = "recordings/setting.rs"]
mod setting;
