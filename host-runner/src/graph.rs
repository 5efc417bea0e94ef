//! Graphs that the host builds (hbg): from tasks and edges to the image that the device runs.
//!
//! ```text
//!  add_task, add_successor ──▶ GraphBuilder ── first of its structure ──▶ KnownGraph ──▶ image
//!                                    └──────── known structure ─────────▶ patches: changed words
//! ```
//!
//! Nothing here knows a device or a callable. Every mistake of an orchestration is an error that names
//! the tasks; nothing is dropped (spec hbg A12).
//!
//! | file | what |
//! |---|---|
//! | `builder` | what the orchestration adds, checked as it comes |
//! | `structure` | which graphs have the same structure |
//! | `known` | a finished graph: its image, and what changes in it from run to run |
//! | `image` | puts the image together |
//! | `cycle` | the check that it can run to its end |
//! | `difference` | in what two graphs differ |
//! | `tensor_infos` | what the orchestration says of its tasks' tensors |

pub mod builder;
mod cycle;
pub mod difference;
pub mod error;
mod image;
pub mod known;
pub mod structure;
mod tensor_infos;
#[cfg(test)]
mod test_graphs;

pub use builder::{GraphBuilder, KernelSet};
pub use difference::GraphDifference;
pub use error::GraphError;
pub use known::KnownGraph;
pub(crate) use known::Recycled;
pub use structure::StructureHash;
