//! Where one callable is on a device; made as one transaction.
//!
//! ```text
//!  trb: check ──▶ kernels ──▶ image ──▶ load ──▶ acknowledged
//!  hbg:           kernels ──▶ (its orchestration is in the host)
//!         └────── any failure: dropping what is there gives it all back ─┘
//! ```

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::callable::parse::ChipCallableView;
use protocol::{CallableId, DeviceAddr, FuncId, RuntimeBody};

use super::content::SharedBytes;
use super::device_orchestration::DeviceOrchestration;
use super::graph_space::GraphSpace;
use super::open_device::OpenDevice;
use super::{RegisterError, build_id};
use crate::device::DeviceLost;
use crate::runtime_name::RuntimeName;

/// What a registration brought to the device, and what was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes of kernels and orchestration that were uploaded.
    pub bytes_uploaded: u64,
    /// Kernels and orchestrations that were there with the same bytes.
    pub hits: u64,
    /// Orchestrations that the device has loaded: 1 for trb, 0 for hbg.
    pub loads: u64,
}

/// Which use of an id a placement is for, and what runs and logs call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The id.
    pub id: CallableId,
    /// Which use of it.
    pub generation: u32,
    /// First eight bytes of the hash of its blob; runs carry it for logs and traces.
    pub digest_prefix: u64,
}

/// A callable on a device: its own table of kernels, and what its runs work with. Dropping it takes all
/// of it off the device again.
#[derive(Debug)]
pub struct Placement {
    on: Arc<OpenDevice>,
    identity: Identity,
    /// Of all placements there ever were, this one.
    number: NonZeroU64,
    kernels: Vec<(FuncId, DeviceAddr)>,
    work: PlacedWork,
    traffic: Traffic,
}

/// What the runs of a callable work with.
#[derive(Debug)]
pub(crate) enum PlacedWork {
    /// The orchestration, which the device runs (trb).
    Orchestration(DeviceOrchestration),
    /// The graphs that the orchestration has built on the host (hbg). Runs have it in turn.
    Graphs(Box<Mutex<GraphSpace>>),
}

impl Placement {
    /// Checks a callable, puts it on the device, and has the device load what it runs there.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; nothing stays behind then.
    pub fn place(
        on: &Arc<OpenDevice>,
        identity: Identity,
        name: &str,
        blob: &SharedBytes,
        runtime: RuntimeName,
    ) -> Result<Self, RegisterError> {
        let callable = &ChipCallableView::parse(blob)?;
        let work = match runtime {
            RuntimeName::Trb => PlacedWork::Orchestration(DeviceOrchestration::of(callable)),
            RuntimeName::Hbg => {
                let kernels = callable.children().map(|(func_id, _)| func_id).collect();
                let space = GraphSpace::new(identity.id, kernels);
                space.begin_accounts(on);
                PlacedWork::Graphs(Box::new(Mutex::new(space)))
            }
        };
        let image = blob.part(callable.orchestration());
        if runtime == RuntimeName::Trb {
            on.check(&image, callable.entry_symbol()).map_err(|source| {
                let (name, image) = (name.to_owned(), Box::new(build_id::label(&image)));
                RegisterError::Orchestration { name, image, source }
            })?;
        }
        let kernels = Vec::with_capacity(callable.child_count());
        let (on, traffic) = (Arc::clone(on), Traffic::default());
        let mut placement = Self { on, identity, number: next_number(), kernels, work, traffic };
        placement.load_kernels(name, callable)?;
        placement.load_orchestration(name, callable.entry_symbol(), &image)?;
        Ok(placement)
    }

    /// Loads the kernels one after the other; what is there is recorded at once.
    fn load_kernels(
        &mut self,
        name: &str,
        callable: &ChipCallableView<'_>,
    ) -> Result<(), RegisterError> {
        for (func_id, kernel) in callable.children() {
            let uploaded = self.on.device().load_kernel(&kernel).map_err(|source| {
                let image = Box::new(build_id::label(kernel.binary));
                RegisterError::Kernel { name: name.to_owned(), func_id, image, source }
            })?;
            self.kernels.push((func_id, uploaded.address));
            self.traffic.count(kernel.blob.len(), uploaded.was_there);
        }
        Ok(())
    }

    /// Uploads the orchestration and has the device load it, if that is where it runs.
    fn load_orchestration(
        &mut self,
        name: &str,
        entry: &str,
        image: &SharedBytes,
    ) -> Result<(), RegisterError> {
        let PlacedWork::Orchestration(orchestration) = &mut self.work else { return Ok(()) };
        let labelled = || (name.to_owned(), Box::new(build_id::label(image)));
        let was_there = orchestration.upload(&self.on, image, entry).map_err(|source| {
            let (name, image) = labelled();
            RegisterError::Memory { name, image, source }
        })?;
        self.traffic.count(image.len(), was_there);
        orchestration.load(&self.on, self.identity).map_err(|source| {
            let (name, image) = labelled();
            RegisterError::Load { name, image, source }
        })?;
        self.traffic.loads += 1;
        Ok(())
    }

    /// The device it is on.
    pub fn on(&self) -> &Arc<OpenDevice> {
        &self.on
    }

    /// Which use of an id it is for.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What it took to put it there.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Its number, which no other has, here or elsewhere, now or later.
    pub(super) fn number(&self) -> NonZeroU64 {
        self.number
    }

    /// What its runs work with.
    pub(crate) fn work(&self) -> &PlacedWork {
        &self.work
    }

    /// Takes everything off the device, its code first.
    ///
    /// # Errors
    ///
    /// A destructor of the orchestration or of a kernel does not return, or ends the device's process; the device is
    /// lost, and nothing can be given back to it.
    pub fn remove(mut self) -> Result<(), DeviceLost> {
        self.unload()
    }

    /// Unloads the orchestration and then the kernels, as far as that has not been done.
    fn unload(&mut self) -> Result<(), DeviceLost> {
        if let PlacedWork::Orchestration(it) = &mut self.work {
            it.unload(&self.on, self.identity)?;
        }
        let on = &self.on;
        self.kernels.drain(..).try_for_each(|(_, record)| on.unload_kernel(record))
    }

    /// Writes into a run record what names this callable. Other fields stay.
    pub fn bind(&self, body: &mut RuntimeBody) {
        self.on.bind_kernels(body, &self.kernels);
        if let PlacedWork::Orchestration(orchestration) = &self.work {
            orchestration.bind(body);
        }
        body.active_callable_id = self.identity.id.raw();
        // It is loaded already, so a run never loads.
        body.register_new_callable_id = 0;
        body.extension.callable_generation = self.identity.generation;
        body.extension.digest_prefix = self.identity.digest_prefix;
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        if let Err(lost) = self.unload() {
            tracing::warn!(%lost, "a destructor hangs or crashes while a registration is taken back");
        }
        if self.on.is_lost() {
            return;
        }
        match &mut self.work {
            PlacedWork::Orchestration(it) => it.give_back(&self.on),
            PlacedWork::Graphs(space) => {
                space.get_mut().unwrap_or_else(PoisonError::into_inner).give_back(&self.on);
            }
        }
    }
}

/// The number of the next placement.
fn next_number() -> NonZeroU64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only that each is another one.
    let last = LAST.fetch_add(1, Ordering::Relaxed);
    NonZeroU64::MIN.saturating_add(last)
}

impl Traffic {
    fn count(&mut self, bytes: usize, was_there: bool) {
        if was_there {
            self.hits += 1;
        } else {
            // CAST: usize is at most 64 bits.
            self.bytes_uploaded += bytes as u64;
        }
    }
}
