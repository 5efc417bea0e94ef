//! The weaknesses that spec callable §7 lists: for each, why it cannot occur here, and a test that
//! would fail if it did.
//!
//! [`table`] has a row for every one of them. Tests that need a look inside are with the parts that
//! they are about, those of the C library with that.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "holes/documents.rs"]
mod documents;
#[path = "holes/failed_runs.rs"]
mod failed_runs;
#[path = "holes/files.rs"]
mod files;
#[path = "holes/hostile.rs"]
mod hostile;
#[path = "holes/many_users.rs"]
mod many_users;
#[path = "holes/memory.rs"]
mod memory;
#[path = "holes/table.rs"]
mod table;
