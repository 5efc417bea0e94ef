//! sim placeholder
pub mod aicpu_threads;
pub mod clock;
pub mod core;
pub mod core_pool;
pub mod event;
pub mod guarded_call;
pub mod kernel_hooks;
pub mod memory;
pub mod registers;
pub mod run_state;
#[cfg(test)]
mod test_objects;
