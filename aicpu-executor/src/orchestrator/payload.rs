//! Writes a task's arguments into its slot, where the kernels read them (spec trb §4.4 step 14).

use core::sync::atomic::Ordering;

use protocol::{MAX_TENSOR_ARGS, OUTPUT_ALIGN, TaskOutputTensors, Tensor, TensorCreateInfo};

use super::request::{TaskRequest, TensorArg, created_tensor};
use super::task_rings::TakenSlot;
use crate::platform::Platform;

/// Fills tensors and scalars of a slot that is not published yet; returns what the orchestration
/// gets.
pub(super) fn write<P: Platform>(
    platform: &P,
    request: &TaskRequest,
    taken: &TakenSlot<'_>,
) -> TaskOutputTensors {
    let mut result = TaskOutputTensors { task_id: taken.id, ..TaskOutputTensors::EMPTY };
    let mut output_address = taken.outputs;
    let mut outputs = 0;
    for (index, argument) in request.tensors.iter().enumerate().take(MAX_TENSOR_ARGS) {
        let place = taken.slot.tensor_pointer(index);
        let tensor: Tensor = match argument {
            TensorArg::Existing { tensor, .. } => *tensor,
            TensorArg::Create { info, bytes } => {
                let tensor = created_tensor(info, output_address, *bytes, taken.id);
                fill_initial(platform, info, output_address, *bytes);
                output_address += bytes;
                if let Some(output) = result.tensors.get_mut(outputs) {
                    *output = place.expose_provenance() as u64;
                    outputs += 1;
                }
                tensor
            }
        };
        // SAFETY: the index is below the slot's tensor count; the slot is the orchestrator's.
        unsafe { place.write(tensor) };
    }
    for (index, scalar) in request.scalars.iter().enumerate() {
        // SAFETY: as above: there are at most as many scalars as the slot has.
        unsafe { taken.slot.scalar_pointer(index).write(*scalar) };
    }
    // CAST: at most 16.
    result.output_count = outputs as u32;
    result
}

/// Fills a fresh output with its initial value, the rounding at its end included (spec trb §1.6).
fn fill_initial<P: Platform>(platform: &P, info: &TensorCreateInfo, address: u64, bytes: u64) {
    if info.has_initial_value == 0 || bytes == 0 {
        return;
    }
    // An unknown type was refused when the request was read.
    let Ok(dtype) = protocol::DataType::try_from(info.dtype) else { return };
    let (element, length) = (dtype.element_bytes() as usize, bytes as usize);
    let value = info.initial_value.to_le_bytes();
    let pattern = value.get(..element).unwrap_or(&value);
    // Output memory is rounded to a multiple of 8 bytes, and an element divides 8.
    let mut word = [0; 8];
    for chunk in word.chunks_mut(element.max(1)) {
        chunk.copy_from_slice(pattern.get(..chunk.len()).unwrap_or_default());
    }
    const _: () = assert!(OUTPUT_ALIGN.is_multiple_of(8));
    let first = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
    for index in 0..length / 8 {
        // SAFETY: the heap ring gave these bytes to this task alone; they are 8-byte aligned
        // because outputs are multiples of `OUTPUT_ALIGN` from an aligned base.
        unsafe { first.add(index).write(u64::from_le_bytes(word)) };
    }
    // The cores must see it; publishing the task only orders it for processors.
    core::sync::atomic::fence(Ordering::Release);
    platform.clean_cache(address, length);
}
