//! What prepared callables have to do on both chips: the reference's scenarios (spec callable §6.3),
//! and what those leave open: what callables share, unregistering during runs, several devices and
//! several processes.
//!
//! That a registration that fails at any of its steps leaves nothing is tested in `host-runner`
//! (`worker/tests/failed_steps.rs`), that nothing grows in `callable_cycles`.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "prepared_callables/scenarios.rs"]
mod scenarios;
#[path = "prepared_callables/sharing.rs"]
mod sharing;
#[path = "prepared_callables/side_by_side.rs"]
mod side_by_side;
#[path = "prepared_callables/unregistering.rs"]
mod unregistering;
