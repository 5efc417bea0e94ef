//! Finished graphs: what the host hands to the AICPU where the orchestration runs on the host (hbg).
//!
//! The reference copies a record of 92.5 MB for every run, whatever the graph (spec hbg A7). Here the
//! host uploads an *image* with what the graph has and no more, and the device keeps it:
//!
//! ```text
//!  host                                         device
//!  tasks, edges ──▶ image (GraphView) ── once ──▶ device memory ─┐
//!                   patches ─── what has changed ──▶ device memory ─┼─▶ RunGraph ──▶ scheduler
//!                                      workspace: made by the AICPU ─┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `image` | layout of an image, and the check that every reader does first |
//! | `run` | what a run record says of graph, patches and workspace |
//! | `workspace` | what the AICPU counts in while a graph runs |

pub mod image;
pub mod run;
pub mod workspace;

pub use image::{GRAPH_TASK_ARGS, GraphHeader, GraphLayout, GraphTask, GraphView};
pub use run::{GraphPatch, GraphRun};
pub use workspace::{GRAPH_SHAPES, WorkspaceLayout, WorkspaceState};
