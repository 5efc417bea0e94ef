//! What is registered: callables by id, and where they are on the device.
//!
//! Ids are the smallest free ones, so a worker never runs out of ids by registering and
//! unregistering (spec callable §7.3 P1). Each use of an id has a generation of its own: a handle of
//! an earlier use is refused instead of running the wrong code (design architecture §3.1).
//!
//! ```text
//!  reserve id ──▶ parse ──▶ kernels ──▶ image ──▶ device has loaded it ──▶ publish
//!      └────────────── any failure: dropping gives everything back ──────────┘
//!
//!  retire ──▶ last run leaves ──▶ unload ──▶ buffers, kernels, image ──▶ id is free
//! ```
//!
//! | file | what |
//! |---|---|
//! | `lease_gate` | who is in a registration: one lock-free word |
//! | `registration` | one registered callable |
//! | `placement` | where it is on a device |
//! | `device_orchestration` | what a device has of it where it runs the orchestration (trb) |
//! | `graph_space` | what a device has of it where the orchestration runs on the host (hbg) |
//! | `open_device` | a device, and what callables share on it |
//! | `orchestrations`, `content` | images by their bytes |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::CallableId;

use crate::callable::Callable;

pub mod build_id;
pub mod content;
mod device_orchestration;
mod error;
mod graph_space;
pub mod lease_gate;
mod open_device;
mod orchestrations;
mod placement;
mod registration;
mod tensor_buffers;

pub use error::{RegisterError, StaleCallable, UnregisterError};
pub use graph_space::GraphReport;
pub(crate) use graph_space::{GraphRefusal, GraphSpace, KeptGraphs};
pub use open_device::OpenDevice;
pub use orchestrations::Orchestrations;
pub(crate) use placement::PlacedWork;
pub use placement::{Identity, Placement, Traffic};
pub use registration::{Registration, Unregistered};
pub(crate) use tensor_buffers::TensorBuffers;

/// One id.
#[derive(Debug, Default)]
struct Slot {
    /// Generation of the last use; 0 before the first.
    generation: u32,
    occupant: Occupant,
}

/// Who has an id.
#[derive(Debug, Default)]
enum Occupant {
    /// Nobody.
    #[default]
    Nobody,
    /// A registration that is not complete.
    Coming,
    /// A registration, until it has been given back.
    Registered(Arc<Registration>),
}

/// All registered callables of a worker.
#[derive(Debug)]
pub struct Registry {
    slots: Mutex<Box<[Slot]>>,
}

/// An id that is being registered. Dropping it frees the id.
#[derive(Debug)]
pub struct Reservation<'r> {
    registry: &'r Registry,
    id: CallableId,
    generation: u32,
    is_published: bool,
}

impl Default for Registry {
    fn default() -> Self {
        let slots = (0..CallableId::COUNT).map(|_| Slot::default()).collect();
        Self { slots: Mutex::new(slots) }
    }
}

impl Registry {
    /// Takes an id of a device that has `limit` of them, the smallest free one unless the caller
    /// wants another.
    ///
    /// # Errors
    ///
    /// [`RegisterError::Full`], [`RegisterError::IdInUse`] and [`RegisterError::IdOutOfRange`].
    pub fn reserve(
        &self,
        wanted: Option<CallableId>,
        limit: usize,
    ) -> Result<Reservation<'_>, RegisterError> {
        let mut slots = self.slots();
        let (id, index) = match wanted {
            Some(id) if id.index() >= limit => {
                return Err(RegisterError::IdOutOfRange { id, limit });
            }
            Some(id) => {
                if let Some(name) = slots[id.index()].taken() {
                    return Err(RegisterError::IdInUse { id, name });
                }
                (id, id.index())
            }
            None => {
                let free = slots.iter().take(limit).position(|slot| slot.taken().is_none());
                let index = free.ok_or(RegisterError::Full { limit })?;
                // CAST: a small table. The id is in range because the index is.
                let id =
                    CallableId::new(index as i64).map_err(|_| RegisterError::Full { limit })?;
                (id, index)
            }
        };
        let slot = &mut slots[index];
        slot.occupant = Occupant::Coming;
        // From 1: 0 is what a record without generations has.
        slot.generation += 1;
        Ok(Reservation { registry: self, id, generation: slot.generation, is_published: false })
    }

    /// The callable that has an id, unless it is on its way in or out.
    pub fn find(&self, id: CallableId) -> Option<Arc<Registration>> {
        match &self.slots().get(id.index())?.occupant {
            Occupant::Registered(it) if !it.gate().is_retired() => Some(Arc::clone(it)),
            _ => None,
        }
    }

    /// The callable of a loaded image, also one that is being unregistered.
    pub fn find_loaded(&self, id: CallableId, generation: u32) -> Option<Arc<Registration>> {
        match &self.slots().get(id.index())?.occupant {
            Occupant::Registered(it) if it.generation() == generation => Some(Arc::clone(it)),
            _ => None,
        }
    }

    /// All registered callables, by id.
    pub fn all(&self) -> Vec<Arc<Registration>> {
        let registered = |slot: &Slot| match &slot.occupant {
            Occupant::Registered(it) => Some(Arc::clone(it)),
            Occupant::Nobody | Occupant::Coming => None,
        };
        self.slots().iter().filter_map(registered).collect()
    }

    /// Frees the id of a registration that has been given back.
    pub fn release(&self, ended: &Registration) {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(ended.id().index())
            && slot.generation == ended.generation()
        {
            slot.occupant = Occupant::Nobody;
        }
    }

    /// Number of registered callables.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slots(&self) -> MutexGuard<'_, Box<[Slot]>> {
        // Nothing panics between two changes that belong together.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether the id cannot be taken, and the name of who has it.
    fn taken(&self) -> Option<Option<String>> {
        match &self.occupant {
            // An id whose generations are used up is not used again: no handle ever means two uses.
            Occupant::Nobody => (self.generation == u32::MAX).then_some(None),
            Occupant::Coming => Some(None),
            Occupant::Registered(it) => Some(Some(it.name().to_owned())),
        }
    }
}

impl Reservation<'_> {
    /// The id.
    pub fn id(&self) -> CallableId {
        self.id
    }

    /// Which use of it this will be.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Makes the callable known under the id, which is on `on` and loaded when this succeeds. `limit` is
    /// how long constructors may take that run on the host.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; the id is free again, and nothing stays behind.
    pub fn fill(
        mut self,
        on: &Arc<OpenDevice>,
        callable: &Callable,
        limit: Duration,
    ) -> Result<(Arc<Registration>, Traffic), RegisterError> {
        let registration = Arc::new(Registration::new(callable, self.id, self.generation)?);
        let traffic = registration.place_on(on)?.1.unwrap_or_default();
        registration.open_on_host(limit)?;
        let mut slots = self.registry.slots();
        slots[self.id.index()].occupant = Occupant::Registered(Arc::clone(&registration));
        self.is_published = true;
        drop(slots);
        Ok((registration, traffic))
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            self.registry.slots()[self.id.index()].occupant = Occupant::Nobody;
        }
    }
}

#[cfg(test)]
mod tests;
