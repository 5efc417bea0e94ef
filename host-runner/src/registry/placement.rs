//! Where one callable is on a device; made as one transaction.
//!
//! ```text
//!  check ──▶ kernels ──▶ image ──▶ load ──▶ acknowledged
//!    └────── any failure: dropping what is there gives it all back ─┘
//! ```

use std::sync::{Arc, Mutex};

use protocol::callable::parse::ChipCallableView;
use protocol::{CallableId, DeviceAddr, FuncId, RuntimeBody, SYMBOL_NAME_BYTES};

use super::open_device::OpenDevice;
use super::{RegisterError, build_id};
use crate::device::{DeviceError, DeviceLost, OrchestrationLoad};

/// A buffer on the device for one tensor of a callable's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffer {
    /// Where it is; null before the first use.
    pub address: DeviceAddr,
    /// How many bytes fit.
    pub capacity: usize,
}

/// What a registration brought to the device, and what was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes of kernels and orchestration that were uploaded.
    pub bytes_uploaded: u64,
    /// Kernels and orchestrations that were there with the same bytes.
    pub hits: u64,
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

/// A callable on a device: its image and its own table of kernels. Dropping it takes all of it off
/// the device again.
#[derive(Debug)]
pub struct Placement {
    on: Arc<OpenDevice>,
    identity: Identity,
    orchestration: DeviceAddr,
    orchestration_bytes: u64,
    entry_symbol: [u8; SYMBOL_NAME_BYTES],
    config_symbol: [u8; SYMBOL_NAME_BYTES],
    kernels: Vec<(FuncId, DeviceAddr)>,
    /// Whether the executor has it.
    is_loaded: bool,
    traffic: Traffic,
    /// One for each tensor that a run has staged; kept from run to run.
    pub(crate) buffers: Mutex<Vec<Buffer>>,
}

impl Placement {
    /// Checks a callable, puts it on the device, and has the device load it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; nothing stays behind then.
    pub fn place(
        on: &Arc<OpenDevice>,
        identity: Identity,
        name: &str,
        callable: &ChipCallableView<'_>,
    ) -> Result<Self, RegisterError> {
        let image = callable.orchestration();
        let labelled = || (name.to_owned(), Box::new(build_id::label(image)));
        on.device().check_orchestration(image, callable.entry_symbol()).map_err(|source| {
            let (name, image) = labelled();
            RegisterError::Orchestration { name, image, source }
        })?;
        let mut placement = Self {
            on: Arc::clone(on),
            identity,
            orchestration: DeviceAddr::NULL,
            // CAST: usize is at most 64 bits.
            orchestration_bytes: image.len() as u64,
            entry_symbol: padded(callable.entry_symbol()),
            config_symbol: padded(callable.config_symbol()),
            kernels: Vec::with_capacity(callable.child_count()),
            is_loaded: false,
            traffic: Traffic::default(),
            buffers: Mutex::default(),
        };
        placement.load_kernels(name, callable)?;
        let uploaded = on.upload(image).map_err(|source| {
            let (name, image) = labelled();
            RegisterError::Memory { name, image, source }
        })?;
        placement.orchestration = uploaded.address;
        placement.traffic.count(image.len(), uploaded.was_there);
        placement.load().map_err(|source| {
            let (name, image) = labelled();
            RegisterError::Load { name, image, source }
        })?;
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

    /// Has the device load the orchestration; it has run its constructors when this succeeds.
    fn load(&mut self) -> Result<(), DeviceError> {
        let Identity { id, generation, digest_prefix } = self.identity;
        self.on.device().load_orchestration(&OrchestrationLoad {
            id,
            generation,
            digest_prefix,
            address: self.orchestration,
            bytes: self.orchestration_bytes,
            entry_symbol: &self.entry_symbol,
            config_symbol: &self.config_symbol,
        })?;
        self.is_loaded = true;
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

    /// Takes everything off the device, its code first.
    ///
    /// # Errors
    ///
    /// A destructor does not return; the device is lost, and nothing can be given back to it.
    pub fn remove(mut self) -> Result<(), DeviceLost> {
        self.unload()
    }

    fn unload(&mut self) -> Result<(), DeviceLost> {
        if !std::mem::take(&mut self.is_loaded) {
            return Ok(());
        }
        let Identity { id, generation, .. } = self.identity;
        let unloaded = self.on.device().unload_orchestration(id, generation);
        unloaded.inspect_err(|_lost| self.on.lose())
    }

    /// Writes into a run record what names this callable. Other fields stay.
    pub fn bind(&self, body: &mut RuntimeBody) {
        body.func_id_to_addr.fill(0);
        for (func_id, record) in &self.kernels {
            body.func_id_to_addr[func_id.index()] = record.raw();
        }
        body.dev_orch_so_addr = self.orchestration;
        body.dev_orch_so_size = self.orchestration_bytes;
        body.device_orch_func_name = self.entry_symbol;
        body.device_orch_config_name = self.config_symbol;
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
            tracing::warn!(%lost, "a destructor hangs while a registration is taken back");
        }
        if self.on.is_lost() {
            return;
        }
        self.on.unbind(self.identity);
        let buffers = self.buffers.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for buffer in buffers {
            self.on.free(buffer.address);
        }
        for (_, record) in &self.kernels {
            self.on.unload_kernel(*record);
        }
        if !self.orchestration.is_null() {
            self.on.give_back(self.orchestration);
        }
    }
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

/// A name as the run record holds it; the parser has checked that it fits with its NUL.
fn padded(name: &str) -> [u8; SYMBOL_NAME_BYTES] {
    let mut field = [0; SYMBOL_NAME_BYTES];
    for (to, from) in field.iter_mut().zip(name.as_bytes()) {
        *to = *from;
    }
    field
}
