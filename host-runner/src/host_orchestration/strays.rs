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
    /// Kept: no other object has its address as long as it is listed.
    object: Arc<OrchestrationRuntime>,
    note: Arc<Note>,
}

fn alive() -> MutexGuard<'static, BTreeMap<usize, Arc<Note>>> {
    // Nothing panics while it is held.
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Strays {
    /// Lists a runtime object.
    pub(super) fn of(object: &Arc<OrchestrationRuntime>) -> Self {
        let strays = Self { object: Arc::clone(object), note: Arc::default() };
        alive().insert(strays.address(), Arc::clone(&strays.note));
        strays
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.object).addr()
    }

    /// The first stray call since this was asked.
    pub(super) fn take(&self) -> Option<&'static str> {
        self.note.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        alive().remove(&self.address());
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

#[cfg(test)]
mod tests {
    use super::super::operations::OPERATIONS;
    use super::*;

    #[test]
    fn an_address_is_no_other_objects_as_long_as_it_is_listed() {
        let object = Arc::new(OrchestrationRuntime { ops: &OPERATIONS });
        let (address, kept) = (Arc::as_ptr(&object), Arc::downgrade(&object));
        let strays = Strays::of(&object);
        drop(object);
        assert!(kept.upgrade().is_some());
        refuse(address, "add_task");
        refuse(address, "device_free");
        assert_eq!((strays.take(), strays.take()), (Some("add_task"), None), "the first one");
        drop(strays);
        assert!(kept.upgrade().is_none() && !alive().contains_key(&address.addr()));
    }
}
