//! A callable that was put on a device by hand: what the registry does, without it.

use aicpu_executor::Fault;
use protocol::callable::parse::ChipCallableView;
use protocol::{CallableId, ChipStorageTaskArgs, DeviceAddr, FuncId, SYMBOL_NAME_BYTES};

use crate::arguments::{OwnedArguments, TensorSet};
use crate::callable::Callable;
use crate::device::{Device, DeviceError, Holder, Launch, OrchestrationLoad};

/// A callable of one output element and one scalar, under id 0 and generation 1.
pub(super) struct OnDevice {
    kernels: Vec<(FuncId, DeviceAddr)>,
    output: DeviceAddr,
}

impl OnDevice {
    pub(super) const GENERATION: u32 = 1;

    pub(super) fn id() -> CallableId {
        CallableId::new(0).unwrap()
    }

    /// Uploads and loads it.
    pub(super) fn place(device: &dyn Device, callable: &Callable) -> Self {
        let view = ChipCallableView::parse(callable.blob()).unwrap();
        let kernels = view.children();
        let kernels = kernels.map(|(id, kernel)| (id, device.load_kernel(&kernel).unwrap()));
        let kernels = kernels.collect();
        let image = view.orchestration();
        let address = device.allocate(image.len(), Holder::Orchestration).unwrap();
        device.copy_in(address, image).unwrap();
        let mut entry_symbol = [0; SYMBOL_NAME_BYTES];
        entry_symbol[..view.entry_symbol().len()].copy_from_slice(view.entry_symbol().as_bytes());
        let load = OrchestrationLoad {
            id: Self::id(),
            generation: Self::GENERATION,
            address,
            bytes: image.len() as u64,
            entry_symbol: &entry_symbol,
            config_symbol: &[0; SYMBOL_NAME_BYTES],
            digest_prefix: 0,
        };
        device.load_orchestration(&load).unwrap();
        Self { kernels, output: device.allocate(4, Holder::User).unwrap() }
    }

    /// Runs it with this scalar; its output, or the fault of the run.
    pub(super) fn run(
        &self,
        device: &dyn Device,
        scalar: u64,
        launch: &Launch,
    ) -> Result<Result<i32, Fault>, DeviceError> {
        let mut arguments = OwnedArguments::new();
        arguments.push_device(self.output, protocol::DataType::Int32, &[1]).unwrap();
        arguments.push_scalar(scalar).unwrap();
        let record: &ChipStorageTaskArgs = arguments.record();
        let outcome = device.run(launch, &mut |body| {
            for (func_id, kernel) in &self.kernels {
                body.func_id_to_addr[func_id.index()] = kernel.raw();
            }
            body.active_callable_id = Self::id().raw();
            body.register_new_callable_id = 0;
            body.extension.callable_generation = Self::GENERATION;
            body.orch_args = *record;
        })?;
        if let Some(fault) = outcome.fault {
            return Ok(Err(fault));
        }
        let mut output = [0; 4];
        device.copy_out(&mut output, self.output)?;
        Ok(Ok(i32::from_le_bytes(output)))
    }
}
