//! Moves the tensors of a run to the device and back.
//!
//! What the callable only writes is not copied in, what it only reads is not copied back, and
//! device tensors pass through (spec trb §14.6). Each host tensor has a buffer on the device that
//! is kept for the next run and replaced only if it is too small.

use protocol::{ArgDirection, ChipStorageTaskArgs};

use crate::arguments::{Place, TensorSet};
use crate::device::{Holder, MemoryError};
use crate::registry::{Buffer, OpenDevice, Registration};

use super::RunError;

/// Copies in what the callable reads, and writes into `record` where each tensor is.
///
/// `record` is a copy of the arguments' own.
///
/// # Errors
///
/// [`RunError::Memory`], and [`RunError::Device`] where the device is gone; buffers that were made
/// stay for the next run.
pub(super) fn stage(
    on: &OpenDevice,
    callable: &Registration,
    buffers: &mut Vec<Buffer>,
    arguments: &dyn TensorSet,
    record: &mut ChipStorageTaskArgs,
) -> Result<(), RunError> {
    for (index, tensor) in record.tensors.iter_mut().enumerate() {
        let Some(place) = arguments.place(index) else { break };
        match place {
            Place::Device(address) => {
                // The arguments have checked the shape; a size beyond 64 bits is in no allocation.
                let bytes = tensor.byte_len().ok().and_then(|bytes| usize::try_from(bytes).ok());
                on.device().check_user_range(address, bytes.unwrap_or(usize::MAX))?;
            }
            Place::Host(bytes, direction) => {
                if buffers.len() <= index {
                    buffers.resize(index + 1, Buffer::default());
                }
                let buffer = &mut buffers[index];
                fit(on, callable, buffer, bytes.len())?;
                if direction.unwrap_or_else(|| callable.direction(index)) != ArgDirection::Out {
                    on.device().copy_in(buffer.address, bytes)?;
                }
                tensor.data = buffer.address.raw();
            }
        }
    }
    Ok(())
}

/// Copies back what the callable wrote, after a run that succeeded.
///
/// # Errors
///
/// [`MemoryError`]; some of the outputs may be written then.
pub(super) fn collect(
    on: &OpenDevice,
    callable: &Registration,
    buffers: &[Buffer],
    arguments: &mut dyn TensorSet,
) -> Result<(), MemoryError> {
    for (index, buffer) in buffers.iter().enumerate() {
        let Some(Place::Host(_, direction)) = arguments.place(index) else { continue };
        if direction.unwrap_or_else(|| callable.direction(index)) == ArgDirection::In {
            continue;
        }
        if let Some(bytes) = arguments.writable(index) {
            on.device().copy_out(bytes, buffer.address)?;
        }
    }
    Ok(())
}

/// Makes the buffer large enough.
fn fit(
    on: &OpenDevice,
    callable: &Registration,
    buffer: &mut Buffer,
    bytes: usize,
) -> Result<(), MemoryError> {
    if !buffer.address.is_null() && buffer.capacity >= bytes {
        return Ok(());
    }
    on.free(core::mem::take(buffer).address);
    let address = on.device().allocate(bytes, Holder::Tensors(callable.id()))?;
    *buffer = Buffer { address, capacity: bytes };
    Ok(())
}
