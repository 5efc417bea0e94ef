//! Moves the tensors of a run to the device and back.
//!
//! What the callable only writes is not copied in, what it only reads is not copied back, and
//! device tensors pass through (spec trb §14.6). Each host tensor has a buffer on the device that
//! is kept for the next run and replaced only if it is too small.

use protocol::{ArgDirection, ChipStorageTaskArgs};
use zerocopy::FromZeros;

use crate::arguments::{Place, TensorSet};
use crate::device::MemoryError;
use crate::registry::{OpenDevice, Registration, TensorBuffers};

use super::RunError;

/// Copies in what the callable reads.
///
/// # Errors
///
/// [`RunError::Memory`], and [`RunError::Device`] where the device is gone; buffers that were made
/// stay for the next run.
pub(super) fn stage(
    on: &OpenDevice,
    callable: &Registration,
    buffers: &mut TensorBuffers,
    arguments: &dyn TensorSet,
) -> Result<(), RunError> {
    buffers.begin_run(on.device());
    let record = arguments.record();
    let tensors = record.tensors.iter().take(in_use(record.tensor_count, record.tensors.len()));
    let buffers = buffers.first(tensors.len());
    for ((index, tensor), buffer) in tensors.enumerate().zip(buffers) {
        let Some(place) = arguments.place(index) else { break };
        match place {
            Place::Device(address) => {
                // The arguments have checked the shape; a size beyond 64 bits is in no allocation.
                let bytes = tensor.byte_len().ok().and_then(|bytes| usize::try_from(bytes).ok());
                buffer.check_user_range(on.device(), address, bytes.unwrap_or(usize::MAX))?;
                buffer.is_written = false;
            }
            Place::Host(bytes, direction) => {
                buffer.fit(on, callable.id(), bytes.len())?;
                let direction = direction.unwrap_or_else(|| callable.direction(index));
                buffer.is_written = direction != ArgDirection::In;
                if direction != ArgDirection::Out {
                    buffer.copy_in(on.device(), bytes)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes the arguments into the run record, each tensor with its address on the device. Of what an
/// earlier run has passed, nothing stays.
pub(super) fn write_arguments(
    to: &mut ChipStorageTaskArgs,
    arguments: &dyn TensorSet,
    buffers: &mut TensorBuffers,
) {
    let from = arguments.record();
    let (tensors, scalars) = (from.tensor_count, from.scalar_count);
    replace(&mut to.tensors, to.tensor_count, &from.tensors, tensors);
    replace(&mut to.scalars, to.scalar_count, &from.scalars, scalars);
    (to.tensor_count, to.scalar_count) = (tensors, scalars);
    // CAST: the counts of arguments that were packed are from 0 to their limit.
    for (tensor, buffer) in to.tensors.iter_mut().take(tensors as usize).zip(buffers.all()) {
        if !tensor.is_child_memory() {
            tensor.data = buffer.address().raw();
        }
    }
}

/// Replaces the first `before` elements, all that are not zero, by the first `count` of another array.
fn replace<T: Copy + FromZeros, const N: usize>(
    to: &mut [T; N],
    before: i32,
    from: &[T; N],
    count: i32,
) {
    let (before, count) = (in_use(before, N), in_use(count, N));
    to[..count].copy_from_slice(&from[..count]);
    to[count..before.max(count)].fill_with(T::new_zeroed);
}

/// How many elements of `capacity` a count is of: one that makes no sense may have left anything anywhere.
fn in_use(count: i32, capacity: usize) -> usize {
    usize::try_from(count).unwrap_or(capacity).min(capacity)
}

/// Copies back what the callable wrote, after a run that succeeded, of tensors that were [staged](stage).
///
/// # Errors
///
/// [`MemoryError`]; some of the outputs may be written then.
pub(super) fn collect(
    on: &OpenDevice,
    buffers: &mut TensorBuffers,
    arguments: &mut dyn TensorSet,
) -> Result<(), MemoryError> {
    // Those beyond the arguments of this run are not written.
    for (index, buffer) in buffers.all().iter_mut().enumerate() {
        if buffer.is_written
            && let Some(bytes) = arguments.writable(index)
        {
            buffer.copy_out(on.device(), bytes)?;
        }
    }
    Ok(())
}
