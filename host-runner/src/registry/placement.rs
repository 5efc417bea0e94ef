//! Where one callable is on the device; made as one transaction.

use protocol::callable::parse::ChipCallableView;
use protocol::{DeviceAddr, FuncId, RuntimeBody, SYMBOL_NAME_BYTES};

use crate::device::Device;

use super::{Orchestrations, RegisterError, build_id};

/// A callable on the device: its image and its own table of kernels.
#[derive(Debug)]
pub struct Placement {
    orchestration: DeviceAddr,
    orchestration_bytes: u64,
    entry_symbol: [u8; SYMBOL_NAME_BYTES],
    config_symbol: [u8; SYMBOL_NAME_BYTES],
    kernels: Vec<(FuncId, DeviceAddr)>,
}

impl Placement {
    /// Checks a callable and puts it on the device.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; nothing stays behind then.
    pub fn place(
        device: &mut dyn Device,
        orchestrations: &mut Orchestrations,
        name: &str,
        callable: &ChipCallableView<'_>,
    ) -> Result<Self, RegisterError> {
        let image = callable.orchestration();
        device.check_orchestration(image, callable.entry_symbol()).map_err(|source| {
            let image = Box::new(build_id::label(image));
            RegisterError::Orchestration { name: name.to_owned(), image, source }
        })?;
        let mut placement = Self {
            orchestration: DeviceAddr::NULL,
            // CAST: usize is at most 64 bits.
            orchestration_bytes: image.len() as u64,
            entry_symbol: padded(callable.entry_symbol()),
            config_symbol: padded(callable.config_symbol()),
            kernels: Vec::with_capacity(callable.child_count()),
        };
        match placement.fill(device, orchestrations, name, callable) {
            Ok(()) => Ok(placement),
            Err(error) => {
                placement.give_back(device, orchestrations);
                Err(error)
            }
        }
    }

    /// Loads kernels and image one after the other; what is there is recorded at once.
    fn fill(
        &mut self,
        device: &mut dyn Device,
        orchestrations: &mut Orchestrations,
        name: &str,
        callable: &ChipCallableView<'_>,
    ) -> Result<(), RegisterError> {
        for (func_id, kernel) in callable.children() {
            let record = device.load_kernel(&kernel).map_err(|source| RegisterError::Kernel {
                name: name.to_owned(),
                func_id,
                image: Box::new(build_id::label(kernel.binary)),
                source,
            })?;
            self.kernels.push((func_id, record));
        }
        self.orchestration =
            orchestrations.upload(device, callable.orchestration()).map_err(|source| {
                let image = Box::new(build_id::label(callable.orchestration()));
                RegisterError::Memory { name: name.to_owned(), image, source }
            })?;
        Ok(())
    }

    /// Takes everything off the device again.
    pub fn give_back(self, device: &mut dyn Device, orchestrations: &mut Orchestrations) {
        for (func_id, record) in self.kernels {
            if let Err(error) = device.unload_kernel(record) {
                tracing::error!(%func_id, %error, "a kernel of the registry is not loaded");
            }
        }
        orchestrations.give_back(device, self.orchestration);
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
