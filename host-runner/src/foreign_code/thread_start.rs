//! What is to be done on each thread that will run code of the user, before it does.
//!
//! A program that catches crashes of such code needs a stack of its own for that on each of these threads;
//! who starts them does not know of it.

use std::sync::OnceLock;

static DO: OnceLock<fn()> = OnceLock::new();

/// Has something done at the start of every such thread from now on; the first call counts.
pub fn on_start(action: fn()) {
    // The only error is that there is one already.
    let _first = DO.set(action);
}

/// A thread that will run code of the user has started.
pub fn started() {
    if let Some(action) = DO.get() {
        action();
    }
}
