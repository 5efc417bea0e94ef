//! What is registered: callables by id, and where they are on the device.
//!
//! Ids are the smallest free ones, so a worker never runs out of ids by registering and
//! unregistering. Each use of an id has a generation of its own: a handle of an earlier use is
//! refused instead of running the wrong code (design architecture §3.1).
//!
//! ```text
//!  parse ──▶ check ──▶ load kernels ──▶ upload orchestration ──▶ publish
//!              └──────────── any failure: give everything back ────────┘
//! ```

use std::sync::Arc;

use aicpu_executor::loader::ImageLabel;
use protocol::callable::parse::ChipCallableView;
use protocol::{CallableId, DeviceAddr, FuncId, MAX_REGISTERED_CALLABLE_IDS, WireError};

use crate::device::{
    Device, DeviceError, DeviceLost, KernelError, MemoryError, OrchestrationError,
};

pub mod build_id;
pub mod content;
mod orchestrations;
mod placement;

use content::ContentKey;
pub use orchestrations::Orchestrations;
pub use placement::Placement;

/// Why a callable cannot be registered. Nothing of it stays behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The blob is damaged.
    #[error("the callable's blob is damaged")]
    Blob(#[from] WireError),
    /// All ids are taken.
    #[error("all {limit} callable ids are in use; unregister a callable first")]
    Full {
        /// Number of ids.
        limit: usize,
    },
    /// The orchestration cannot be loaded.
    #[error("the orchestration of callable `{name}` {image} cannot be loaded")]
    Orchestration {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: OrchestrationError,
    },
    /// A kernel cannot be loaded.
    #[error("the kernel of func_id {func_id} of callable `{name}` {image} cannot be loaded")]
    Kernel {
        /// Name of the callable.
        name: String,
        /// The kernel.
        func_id: FuncId,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: KernelError,
    },
    /// The device has no room for it.
    #[error("the device has no room for the orchestration of callable `{name}` {image}")]
    Memory {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: MemoryError,
    },
    /// There is no device to register it on.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Why a handle names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the handle names callable {id} of generation {generation}, which is not registered any more; \
     use the handle of its last registration"
)]
pub struct StaleHandle {
    /// The id.
    pub id: CallableId,
    /// Which use of it.
    pub generation: u32,
}

/// Why unregistering did not go smoothly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnregisterError {
    /// The handle names nothing.
    #[error(transparent)]
    StaleHandle(#[from] StaleHandle),
    /// A destructor of the orchestration does not return. The callable is not registered any more;
    /// nothing can be given back to the device.
    #[error(transparent)]
    DeviceLost(#[from] DeviceLost),
}

/// A buffer on the device for one tensor of a callable's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffer {
    /// Where it is; null before the first use.
    pub address: DeviceAddr,
    /// How many bytes fit.
    pub capacity: usize,
}

/// A registered callable.
#[derive(Debug)]
pub struct Entry {
    /// Name in messages.
    pub name: String,
    /// Which use of the id this is, from 1.
    pub generation: u32,
    /// Which build its orchestration is, for messages.
    pub label: ImageLabel,
    blob: Arc<[u8]>,
    /// Where it is on the device; `None` after the device was lost, until the next use.
    pub placement: Option<Placement>,
    /// Whether the executor has reported that it loaded this generation.
    pub loaded: bool,
    /// First eight bytes of the hash of its blob; runs carry it for logs and traces.
    pub digest_prefix: u64,
    /// One for each tensor that a run has staged; kept from run to run.
    pub buffers: Vec<Buffer>,
}

/// One id.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

/// All registered callables of a worker.
#[derive(Debug)]
pub struct Registry {
    slots: Box<[Slot]>,
    orchestrations: Orchestrations,
}

impl Default for Registry {
    fn default() -> Self {
        let slots = (0..MAX_REGISTERED_CALLABLE_IDS).map(|_| Slot::default()).collect();
        Self { slots, orchestrations: Orchestrations::default() }
    }
}

impl Registry {
    /// Registers a callable under the smallest free id.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; device and registry are then as they were before.
    pub fn register(
        &mut self,
        device: &mut dyn Device,
        name: &str,
        blob: &[u8],
    ) -> Result<(CallableId, u32), RegisterError> {
        let limit = self.slots.len();
        // An id whose generations are used up is not used again: no handle ever means two uses.
        let is_free = |slot: &Slot| slot.entry.is_none() && slot.generation != u32::MAX;
        let index = self.slots.iter().position(is_free);
        let index = index.ok_or(RegisterError::Full { limit })?;
        // CAST: a small table. The id is in range because the index is.
        let id = CallableId::new(index as i64).map_err(|_| RegisterError::Full { limit })?;
        let view = ChipCallableView::parse(blob)?;
        let placement = Placement::place(device, &mut self.orchestrations, name, &view)?;
        let label = build_id::label(view.orchestration());

        let slot = &mut self.slots[index];
        // From 1: 0 is what a record without generations has.
        slot.generation = slot.generation.saturating_add(1);
        let generation = slot.generation;
        slot.entry = Some(Entry {
            name: name.to_owned(),
            generation,
            label,
            blob: blob.into(),
            placement: Some(placement),
            loaded: false,
            digest_prefix: ContentKey::of(blob).prefix(),
            buffers: Vec::new(),
        });
        tracing::info!("registered callable {id} {name:?} {label}, generation {generation}");
        Ok((id, generation))
    }

    /// Unregisters a callable and gives back everything that it had on the device.
    ///
    /// # Errors
    ///
    /// [`UnregisterError`]; after a loss of the device, forget that too
    /// ([`forget_device`](Self::forget_device)).
    pub fn unregister(
        &mut self,
        device: &mut dyn Device,
        id: CallableId,
        generation: u32,
    ) -> Result<(), UnregisterError> {
        self.entry(id, generation)?;
        let unloaded = device.unload_orchestration(id, generation);
        let Some(entry) = self.slots[id.index()].entry.take() else { return Ok(()) };
        unloaded?;
        for buffer in entry.buffers {
            free_quietly(device, buffer.address);
        }
        if let Some(placement) = entry.placement {
            placement.give_back(device, &mut self.orchestrations);
        }
        tracing::info!("unregistered callable {id} {:?} {}", entry.name, entry.label);
        Ok(())
    }

    /// The callable of a handle.
    ///
    /// # Errors
    ///
    /// [`StaleHandle`] where it is not registered.
    pub fn entry(&mut self, id: CallableId, generation: u32) -> Result<&mut Entry, StaleHandle> {
        match &mut self.slots[id.index()].entry {
            Some(entry) if entry.generation == generation => Ok(entry),
            _ => Err(StaleHandle { id, generation }),
        }
    }

    /// Name and orchestration image of a callable, if it is registered.
    pub fn image(&self, id: CallableId, generation: u32) -> Option<(&str, &[u8])> {
        let entry = self.slots.get(id.index())?.entry.as_ref()?;
        let view = ChipCallableView::parse(&entry.blob).ok()?;
        (entry.generation == generation).then(|| (entry.name.as_str(), view.orchestration()))
    }

    /// Puts a callable back on a device that took the place of a lost one.
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register); [`RegisterError::Device`] for a handle that names
    /// nothing cannot occur after [`entry`](Self::entry) found it.
    pub fn place_again(
        &mut self,
        device: &mut dyn Device,
        id: CallableId,
    ) -> Result<(), RegisterError> {
        let Some(entry) = &mut self.slots[id.index()].entry else { return Ok(()) };
        if entry.placement.is_none() {
            let view = ChipCallableView::parse(&entry.blob)?;
            let placement = Placement::place(device, &mut self.orchestrations, &entry.name, &view)?;
            entry.placement = Some(placement);
        }
        Ok(())
    }

    /// Forgets what was on a device that was lost; the registrations stay.
    pub fn forget_device(&mut self) {
        self.orchestrations = Orchestrations::default();
        for entry in self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut()) {
            entry.placement = None;
            entry.loaded = false;
            entry.buffers.clear();
        }
    }

    /// Number of registered callables.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.entry.is_some()).count()
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Frees what is known to be allocated; null is nothing.
pub(crate) fn free_quietly(device: &mut dyn Device, address: DeviceAddr) {
    if !address.is_null()
        && let Err(error) = device.free(address)
    {
        tracing::error!(%error, "the registry holds an address that the device does not know");
    }
}

#[cfg(test)]
mod tests;
