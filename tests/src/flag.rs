//! What hanging code waits for.

use std::sync::atomic::{AtomicU32, Ordering};

/// A word that code of a test waits for. It lives for ever, as the code may look at it at any time;
/// dropping this sets it, so that a test that fails leaves nothing waiting.
#[derive(Debug)]
pub struct Flag(&'static AtomicU32);

impl Flag {
    /// A flag that is not set.
    #[expect(clippy::new_without_default, reason = "each flag is memory for good")]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(AtomicU32::new(0))))
    }

    /// Its address, to be passed as a scalar.
    pub fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// Lets the code go on.
    pub fn set(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// What it holds; code may have written something else than 1.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.set();
    }
}
