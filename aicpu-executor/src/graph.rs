//! A graph that the host has built, as a place for tasks (spec hbg A1).
//!
//! ```text
//!  image      tasks, arguments, successors, roots   written by the host, and by patches before a run
//!  workspace  header, state, counts, ready cells     written by the executor alone
//! ```
//!
//! The scheduler is the one of the rings; what differs is here. A task is an entry of the image and has
//! one block on one core. Its consumers are a row of the image, so nothing is linked or unlinked while
//! it runs, and nothing has to be retired: a task that is complete stays where it is. All that
//! changes is one count for each task, which is back where it was when the run has succeeded. So a run of
//! a graph that the device has costs nothing before its first task but the patches.
//!
//! | file | what |
//! |---|---|
//! | `pending_count` | predecessors that are not complete |
//! | `opening` | from a record to a graph that can run |
//! | `store` | what the scheduler asks of tasks |
//! | `stalled` | what a graph waits for whose run does not move |

mod opening;
mod pending_count;
mod stalled;
mod store;

pub(crate) use opening::{OpenGraph, open};
pub(crate) use store::Graph;
