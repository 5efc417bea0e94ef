//! Graphs that the host builds (hbg): from tasks and edges to the image that the device runs.
//!
//! ```text
//!  add_task, add_successor ──▶ GraphBuilder ── first of its structure ──▶ KnownGraph ──▶ image
//!                                    └──────── known structure ─────────▶ patches: changed words
//! ```
//!
//! Nothing here knows a device or a callable. Every mistake of an orchestration is an error that names
//! the tasks; nothing is dropped (spec hbg A12).

pub mod builder;
pub mod error;

pub use builder::GraphBuilder;
pub use error::GraphError;
