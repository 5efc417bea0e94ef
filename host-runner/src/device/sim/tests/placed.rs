//! A callable on the device itself, loaded apart from runs, without a registry above it.

use protocol::callable::parse::ChipCallableView;
use protocol::{ChipStorageTaskArgs, FuncId, SYMBOL_NAME_BYTES};

use super::*;
use crate::callable::Callable;

/// What a callable has on the device.
pub(super) struct Placed {
    pub(super) id: CallableId,
    pub(super) generation: u32,
    pub(super) image: DeviceAddr,
    pub(super) kernels: Vec<(FuncId, DeviceAddr)>,
    image_bytes: usize,
    entry: [u8; SYMBOL_NAME_BYTES],
    config: [u8; SYMBOL_NAME_BYTES],
}

impl Placed {
    /// Puts kernels and image in place; nothing is loaded by the AICPU.
    pub(super) fn new<C: Chip>(device: &SimDevice<C>, id: i64, callable: &Callable) -> Self {
        let view = ChipCallableView::parse(callable.blob()).unwrap();
        let load = |(func_id, kernel)| (func_id, device.load_kernel(&kernel).unwrap().address);
        let kernels = view.children().map(load).collect();
        let bytes = view.orchestration();
        let image = device.allocate(bytes.len(), Holder::Orchestration).unwrap();
        device.copy_in(image, bytes).unwrap();
        let (id, image_bytes) = (CallableId::new(id).unwrap(), bytes.len());
        let (entry, config) = (name(view.entry_symbol()), name(view.config_symbol()));
        Self { id, generation: 1, image, kernels, image_bytes, entry, config }
    }

    /// Has the AICPU load it.
    pub(super) fn load<C: Chip>(&self, device: &SimDevice<C>) -> Result<(), DeviceError> {
        device.load_orchestration(&OrchestrationLoad {
            id: self.id,
            generation: self.generation,
            address: self.image,
            bytes: self.image_bytes as u64,
            entry_symbol: &self.entry,
            config_symbol: &self.config,
            digest_prefix: 0,
        })
    }

    /// Runs it by its id; the run brings no image along.
    pub(super) fn run<C: Chip>(
        &self,
        device: &SimDevice<C>,
        scalars: &[u64],
        launch: &Launch,
    ) -> Result<RunOutcome, DeviceError> {
        device.run(launch, &mut |body| {
            body.func_id_to_addr.fill(0);
            for (func_id, record) in &self.kernels {
                body.func_id_to_addr[func_id.index()] = record.raw();
            }
            body.active_callable_id = self.id.raw();
            body.register_new_callable_id = 0;
            body.dev_orch_so_addr = DeviceAddr::NULL;
            body.extension.callable_generation = self.generation;
            body.orch_args = ChipStorageTaskArgs::new();
            for &scalar in scalars {
                body.orch_args.push_scalar(scalar).unwrap();
            }
        })
    }

    /// Gives everything back.
    pub(super) fn give_back<C: Chip>(self, device: &SimDevice<C>) {
        device.unload_orchestration(self.id, self.generation).unwrap();
        for (_, record) in self.kernels {
            device.unload_kernel(record).unwrap();
        }
        device.free(self.image).unwrap();
    }
}

fn name(text: &str) -> [u8; SYMBOL_NAME_BYTES] {
    let mut field = [0; SYMBOL_NAME_BYTES];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

/// Reads an `int` of the device.
pub(super) fn int_at<C: Chip>(device: &SimDevice<C>, address: DeviceAddr) -> i32 {
    let mut bytes = [0; 4];
    device.copy_out(&mut bytes, address).unwrap();
    i32::from_ne_bytes(bytes)
}
