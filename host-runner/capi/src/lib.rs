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
//! | `handles` | contexts, submitted runs and communicators by handle |
//! | [`context`] | a worker with the client's ids and pointers |
//! | `communicator` | a rank among processes, and windows that all contexts reach |
//! | `kept` | what is over, whose memory the next ones use |
//! | `submission` | a run that nobody waits for, until somebody asks |
//! | `client_memory` | whether memory of the client can be read or written |
//! | [`blob`], [`tensors`] | callables and arguments behind pointers |
//! | [`failure`] | numbers and texts of what went wrong |
//! | `log` | events to the client's log library |
//!
//! Nothing ends the process, prints, or reads environment variables.

#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!("the library turns panics into error codes, which needs panic = \"unwind\"");

#[expect(unsafe_code, reason = "the client's callable is read where it says it is")]
pub mod blob;
#[expect(unsafe_code, reason = "pointers of the client become slices")]
pub mod c_functions;
#[expect(unsafe_code, reason = "memory of the client is looked at and copied")]
mod client_memory;
mod communicator;
#[expect(unsafe_code, reason = "passes the client's promise on to the tensors")]
pub mod context;
pub mod failure;
mod guard;
mod handles;
mod kept;
mod library;
#[expect(unsafe_code, reason = "functions of other libraries are looked up and called")]
mod log;
#[expect(unsafe_code, reason = "outputs go to the client's memory")]
mod submission;
#[expect(unsafe_code, reason = "the client's memory is lent to a run")]
pub mod tensors;
pub mod variant;
