//! Writes a task's arguments into its slot, where the kernels read them (spec trb §4.4 step 14).

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use protocol::{ArgTag, OUTPUT_ALIGN, TaskOutputTensors, Tensor, TensorCreateInfo};

use super::overlap::start_offset;
use super::request::{TaskRequest, created_tensor, output_bytes, read_create_info};
use super::task_rings::TakenSlot;
use crate::platform::Platform;

/// Bytes of a tensor that always count: the first cache line. What is behind them is the shape of
/// the buffer and the offset in it, which a tensor that is not a view does not have.
const WHOLE_TENSOR_BYTES: usize = 64;

const _: () = assert!(offset_of!(Tensor, raw_shapes) == WHOLE_TENSOR_BYTES);
const _: () = assert!(offset_of!(Tensor, offsets) > WHOLE_TENSOR_BYTES);

/// Fills tensors and scalars of a slot that is not published yet, and what the orchestration gets.
#[inline(always)]
pub(super) fn write<P: Platform>(
    platform: &P,
    request: &TaskRequest<'_>,
    taken: &TakenSlot<'_>,
    result: &mut TaskOutputTensors,
) {
    result.task_id = taken.id;
    let mut output_address = taken.outputs;
    let mut outputs = 0;
    for (index, (tag, address)) in request.tensors().enumerate() {
        let place = taken.arguments.tensor_pointer(index);
        if tag != ArgTag::Output as i32 {
            let source = core::ptr::with_exposed_provenance::<Tensor>(address as usize);
            // SAFETY: the request was checked: `address` is that of a tensor. The place is one of the
            // slot, which is the orchestrator's.
            unsafe { copy_tensor(source, place) };
            continue;
        }
        // SAFETY: the request was checked: `address` is that of a create-info.
        let info = unsafe { read_create_info(address) };
        let bytes = output_bytes(&info).unwrap_or_default();
        // SAFETY: the place is one of the slot, which is the orchestrator's.
        unsafe { place.write(created_tensor(&info, output_address, bytes, taken.id)) };
        fill_initial(platform, &info, output_address, bytes);
        output_address += bytes;
        if let Some(output) = result.tensors.get_mut(outputs) {
            *output = place.expose_provenance() as u64;
            outputs += 1;
        }
    }
    for (index, scalar) in request.scalars().iter().enumerate() {
        // SAFETY: as above: there are at most as many scalars as the slot has.
        unsafe { taken.arguments.scalar_pointer(index).write(*scalar) };
    }
    // CAST: at most 16.
    result.output_count = outputs as u32;
}

/// Copies a tensor, and fills in where in its buffer it begins.
///
/// # Safety
///
/// `source` points at a tensor that may be aligned to words only and passes `check_kind`; `place` is
/// writable, and nobody else uses it.
#[inline]
unsafe fn copy_tensor(source: *const Tensor, place: *mut Tensor) {
    // SAFETY: the first line of a tensor, by the contract.
    unsafe { copy_bytes::<WHOLE_TENSOR_BYTES>(source.cast(), place.cast()) };
    // SAFETY: any bytes are a valid tensor, so those that an earlier task has left in the second line
    // are as well; nobody else uses it.
    let tensor = unsafe { &mut *place };
    if tensor.is_all_offset_zero != 0 && tensor.is_raw_eq_shapes != 0 {
        tensor.start_offset = 0;
        return;
    }
    // SAFETY: the whole of a tensor, by the contract.
    unsafe { copy_bytes::<{ size_of::<Tensor>() }>(source.cast(), place.cast()) };
    // SAFETY: as above.
    let tensor = unsafe { &mut *place };
    tensor.start_offset = start_offset(tensor);
}

/// Copies so many bytes.
///
/// # Safety
///
/// `source` is readable and `place` writable for that many, and they are apart.
#[inline]
unsafe fn copy_bytes<const BYTES: usize>(source: *const [u8; BYTES], place: *mut [u8; BYTES]) {
    // SAFETY: by the contract.
    unsafe { place.copy_from_nonoverlapping(source, 1) };
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
