//! Handles: counted leases of a registration.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use protocol::{ArgDirection, CallableId};

use super::shared::Shared;
use crate::registry::Registration;

/// A registered callable: a counted lease.
///
/// Clones are of the same registration. It ends with [`Worker::unregister`](super::Worker::unregister)
/// through any of them, which makes the others stale, or when the last one is dropped: then it is
/// given back at once, or after the last run that was accepted.
#[derive(Clone)]
pub struct CallableHandle(Arc<Owner>);

/// What all clones of a handle share.
struct Owner {
    shared: Arc<Shared>,
    callable: Arc<Registration>,
}

impl CallableHandle {
    pub(super) fn new(shared: Arc<Shared>, callable: Arc<Registration>) -> Self {
        Self(Arc::new(Owner { shared, callable }))
    }

    /// The id under which the device knows the callable.
    #[must_use]
    pub fn id(&self) -> CallableId {
        self.0.callable.id()
    }

    /// Which use of the id this registration is, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.0.callable.generation()
    }

    /// Name of the callable, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.callable.name()
    }

    /// What the callable declares to do with the tensor at `index`; INOUT where it declares nothing.
    #[must_use]
    pub fn direction(&self, index: usize) -> ArgDirection {
        self.0.callable.direction(index)
    }

    /// What the callable declares to do with its arguments, as far as it declares it.
    #[must_use]
    pub fn declared(&self) -> &[ArgDirection] {
        self.0.callable.declared()
    }

    /// Whether the registration has ended, or is ending: every run is refused.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.callable.gate().is_retired()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn callable(&self) -> &Arc<Registration> {
        &self.0.callable
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.unregister_unwanted(&self.callable);
    }
}

impl PartialEq for CallableHandle {
    /// Whether both are of the same registration.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.callable(), other.callable())
    }
}

impl Eq for CallableHandle {}

impl Hash for CallableHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(self.callable()).hash(state);
    }
}

impl fmt::Debug for CallableHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallableHandle")
            .field("id", &self.id())
            .field("generation", &self.generation())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
