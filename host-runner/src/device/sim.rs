//! sim placeholder
pub mod aicpu_threads;
pub mod anonymous_library;
pub mod clock;
pub mod code_memory;
pub mod core;
pub mod core_pool;
pub mod event;
pub mod guarded_call;
pub mod image;
pub mod kernel_hooks;
pub mod kernels;
pub mod memory;
pub mod platform;
pub mod registers;
pub mod run_state;
pub mod symbols;
#[cfg(test)]
mod test_objects;
