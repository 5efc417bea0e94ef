//! The arguments of a run as an orchestration on the host gets them: with the addresses of the host's
//! memory (spec hbg A4).

use std::ops::Range;

use protocol::{ArgDirection, ChipStorageTaskArgs, ContinuousTensor, DeviceAddr};

use super::RunError;
use crate::arguments::{Place, TensorSet};
use crate::device::{Device, MemoryError};
use crate::host_orchestration::Output;
use crate::registry::{OpenDevice, Registration};

/// Checks that a device tensor is in memory of the user.
///
/// # Errors
///
/// [`MemoryError`].
pub(super) fn check_device_tensor(
    device: &dyn Device,
    address: DeviceAddr,
    tensor: &ContinuousTensor,
) -> Result<(), MemoryError> {
    // A size beyond 64 bits is in no allocation.
    let bytes = tensor.byte_len().ok().and_then(|bytes| usize::try_from(bytes).ok());
    device.check_user_range(address, bytes.unwrap_or(usize::MAX))
}

/// Arguments that are lent to an orchestration. The record has the addresses of the tensors' memory, which
/// stays borrowed through the arguments until the run has ended.
pub(super) struct HostArguments {
    record: Box<ChipStorageTaskArgs>,
    /// Memory of tensors that are only read, by index.
    read_only: Vec<(usize, Range<u64>)>,
}

impl HostArguments {
    /// Lends the arguments.
    ///
    /// # Errors
    ///
    /// [`RunError::Memory`] where a device tensor is in no memory of the user.
    pub(super) fn lend(
        on: &OpenDevice,
        callable: &Registration,
        arguments: &mut dyn TensorSet,
    ) -> Result<Self, RunError> {
        let mut record = Box::new(*arguments.record());
        let mut read_only = Vec::new();
        for (index, tensor) in record.tensors.iter_mut().enumerate() {
            let direction = match arguments.place(index) {
                None => break,
                Some(Place::Device(address)) => {
                    check_device_tensor(on.device(), address, tensor)?;
                    continue;
                }
                Some(Place::Host(bytes, direction)) => {
                    let direction = direction.unwrap_or_else(|| callable.direction(index));
                    if direction == ArgDirection::In {
                        // CAST: (all) usize is 64 bits on the supported targets.
                        tensor.data = bytes.as_ptr().expose_provenance() as u64;
                        read_only.push((index, tensor.data..tensor.data + bytes.len() as u64));
                    }
                    direction
                }
            };
            if direction != ArgDirection::In
                && let Some(bytes) = arguments.writable(index)
            {
                tensor.data = bytes.as_mut_ptr().expose_provenance() as u64;
            }
        }
        Ok(Self { record, read_only })
    }

    /// The record for the orchestration.
    pub(super) fn record(&self) -> &ChipStorageTaskArgs {
        &self.record
    }

    /// Checks that no output goes to memory that is only lent for reading: others may read it meanwhile.
    ///
    /// # Errors
    ///
    /// [`RunError::ReadOnlyOutput`].
    pub(super) fn check_outputs(&self, outputs: &[Output]) -> Result<(), RunError> {
        for output in outputs {
            let start = output.host as u64;
            let end = start.saturating_add(output.bytes as u64);
            let hit = |(_, memory): &&(usize, Range<u64>)| start < memory.end && memory.start < end;
            if let Some((index, _)) = self.read_only.iter().find(hit) {
                return Err(RunError::ReadOnlyOutput { index: *index });
            }
        }
        Ok(())
    }
}
