//! Moves the tensors of a run to the device and back.
//!
//! What the callable only writes is not copied in, what it only reads is not copied back, and
//! device tensors pass through (spec trb §14.6). Each host tensor has a buffer on the device that
//! is kept for the next run and replaced only if it is too small.

use protocol::{CallableId, ChipStorageTaskArgs, ContinuousTensor};

use crate::arguments::{Arguments, TensorArgument, TensorData};
use crate::device::{Device, Holder};
use crate::registry::{Buffer, free_quietly};

use super::RunError;

/// Copies in what the callable reads, and returns the arguments for the run record.
///
/// # Errors
///
/// [`RunError::Memory`] and [`RunError::Arguments`]; buffers that were made stay for the next run.
pub(super) fn stage(
    device: &dyn Device,
    id: CallableId,
    buffers: &mut Vec<Buffer>,
    arguments: &Arguments<'_>,
) -> Result<ChipStorageTaskArgs, RunError> {
    let tensors = arguments.tensors();
    if buffers.len() < tensors.len() {
        buffers.resize(tensors.len(), Buffer::default());
    }
    let mut record = ChipStorageTaskArgs::new();
    for (argument, buffer) in tensors.iter().zip(buffers) {
        let mut tensor = describe(argument);
        let (bytes, input) = match &argument.data {
            TensorData::Device(address) => {
                // The arguments have checked the shape; a size beyond 64 bits is in no allocation.
                let bytes = tensor.byte_len().ok().and_then(|bytes| usize::try_from(bytes).ok());
                device.check_range(*address, bytes.unwrap_or(usize::MAX))?;
                tensor.data = address.raw();
                tensor.child_memory = 1;
                record.push_tensor(tensor)?;
                continue;
            }
            TensorData::In(bytes) => (bytes.len(), Some(&**bytes)),
            TensorData::InOut(bytes) => (bytes.len(), Some(&**bytes)),
            TensorData::Out(bytes) => (bytes.len(), None),
        };
        fit(device, id, buffer, bytes)?;
        if let Some(input) = input {
            device.copy_in(buffer.address, input)?;
        }
        tensor.data = buffer.address.raw();
        record.push_tensor(tensor)?;
    }
    for &scalar in arguments.scalars() {
        record.push_scalar(scalar)?;
    }
    Ok(record)
}

/// Copies back what the callable wrote, after a run that succeeded.
///
/// # Errors
///
/// [`RunError::Memory`].
pub(super) fn collect(
    device: &dyn Device,
    buffers: &[Buffer],
    arguments: &mut Arguments<'_>,
) -> Result<(), RunError> {
    for (argument, buffer) in arguments.tensors_mut().iter_mut().zip(buffers) {
        if let TensorData::Out(bytes) | TensorData::InOut(bytes) = &mut argument.data {
            device.copy_out(bytes, buffer.address)?;
        }
    }
    Ok(())
}

/// Makes the buffer large enough.
fn fit(
    device: &dyn Device,
    id: CallableId,
    buffer: &mut Buffer,
    bytes: usize,
) -> Result<(), RunError> {
    if !buffer.address.is_null() && buffer.capacity >= bytes {
        return Ok(());
    }
    free_quietly(device, core::mem::take(buffer).address);
    let address = device.allocate(bytes, Holder::Tensors(id))?;
    *buffer = Buffer { address, capacity: bytes };
    Ok(())
}

/// Shape and type of a tensor as the record holds them; the arguments have checked the shape.
fn describe(argument: &TensorArgument<'_>) -> ContinuousTensor {
    let mut tensor = ContinuousTensor { dtype: argument.dtype as u8, ..Default::default() };
    for (to, from) in tensor.shapes.iter_mut().zip(&argument.shape) {
        *to = *from;
        tensor.ndims += 1;
    }
    tensor
}
