//! Calls that belong to no call of an entry on their thread: an orchestration has kept its runtime
//! object, or given it to a thread of its own.
//!
//! They are refused. Where they come while the entry is being called, the graph lacks something, so
//! the run must fail: the runtime object, found by its address in the list of those that are alive,
//! gets a note. Nothing is read through the pointer that was passed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::OrchestrationRuntime;

/// The first stray call of one runtime object since somebody looked.
#[derive(Debug, Default)]
struct Note(Mutex<Option<&'static str>>);

/// Runtime objects that are alive, by address.
static ALIVE: Mutex<BTreeMap<usize, Arc<Note>>> = Mutex::new(BTreeMap::new());

/// A runtime object's place in the list, as long as this lives.
#[derive(Debug)]
pub(super) struct Strays {
    address: usize,
    note: Arc<Note>,
}

fn alive() -> MutexGuard<'static, BTreeMap<usize, Arc<Note>>> {
    // Nothing panics while it is held.
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Strays {
    /// Lists a runtime object.
    pub(super) fn of(object: &OrchestrationRuntime) -> Self {
        let (address, note) = (std::ptr::from_ref(object).addr(), Arc::<Note>::default());
        alive().insert(address, Arc::clone(&note));
        Self { address, note }
    }

    /// The first stray call since this was asked.
    pub(super) fn take(&self) -> Option<&'static str> {
        self.note.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        alive().remove(&self.address);
    }
}

/// Notes a call that is refused.
pub(super) fn refuse(runtime: *const OrchestrationRuntime, call: &'static str) {
    let note = alive().get(&runtime.addr()).cloned();
    let known = note.is_some();
    tracing::warn!(
        call,
        known,
        "an orchestration calls the runtime outside its entry, or from another thread"
    );
    if let Some(note) = note {
        note.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(call);
    }
}
