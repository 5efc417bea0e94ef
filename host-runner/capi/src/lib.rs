//! Boundary B: the C library that existing clients open (spec callable §2), without its variant.
//!
//! ```text
//!  client ── dlopen ──▶ variants/{a2a3,a5}-{trb,hbg}: library!(…), the exported names
//!                        └─▶ c_functions ── guard ──▶ context ──▶ host_runner::worker::Worker
//!                                └─ client_memory, blob, tensors: pointers, looked at before they are followed
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`c_functions`] | the functions, as C sees them; `include/host_runtime.h` is their documentation |
//! | `guard` | panics and failures become values; the text of the last one |
//! | `handles` | contexts and submitted runs by handle |
//! | [`context`] | a worker with the client's ids and pointers |
//! | `submission` | a run that nobody waits for, until somebody asks |
//! | `client_memory` | whether memory of the client can be read or written |
//! | [`blob`], [`tensors`] | callables and arguments behind pointers |
//! | [`failure`] | numbers and texts of what went wrong |
//! | `log` | events to the client's log library |
//!
//! Nothing ends the process, prints, or reads environment variables.

#[cfg(panic = "abort")]
compile_error!("the library turns panics into error codes, which needs panic = \"unwind\"");

pub mod blob;
pub mod c_functions;
mod client_memory;
pub mod context;
pub mod failure;
mod guard;
mod handles;
mod library;
mod log;
mod submission;
pub mod tensors;
pub mod variant;
