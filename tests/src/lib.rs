//! What the tests in `tests/` share: how a callable comes from the sources in `data/`, how a worker
//! is opened and proved to work, what hanging code waits for, what a worker asks of its
//! device, and what the process holds at a moment.
//!
//! ```text
//! data/*.cpp ──sources──▶ images ──▶ Callable ──▶ Worker ◀── workers
//!                        (compiled once, kept in target/)
//! Script ── a tensor ──▶ calls of an orchestration on the host
//! ```

#![allow(clippy::missing_panics_doc, reason = "a test that cannot be set up may end")]

#[expect(unsafe_code, reason = "an allocator that counts")]
pub mod allocations;
pub mod c_library;
pub mod child;
pub mod device_program;
pub mod firmware_host;
pub mod flag;
pub mod layers;
pub mod life;
pub mod prepared;
pub mod process;
pub mod script;
pub mod sources;
pub mod spied_device;
pub mod workers;
