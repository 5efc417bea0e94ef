//! Writes a task's arguments into its slot, where the kernels read them (spec trb §4.4 step 14).

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use protocol::{BufferHandle, MAX_SCALAR_ARGS, OUTPUT_ALIGN, TaskId, Tensor, TensorCreateInfo};

use super::overlap::start_offset;
use crate::platform::Platform;
use crate::region::{Arguments, INLINE_SCALARS};

/// Bytes of a tensor that always count: the first cache line. What is behind them is the shape of
/// the buffer and the offset in it, which a tensor that is not a view does not have.
const WHOLE_TENSOR_BYTES: usize = 64;

/// Bytes of a tensor that mean something.
const TENSOR_BYTES: usize = offset_of!(Tensor, reserved);

/// Where the part begins that a tensor and a create-info have in common.
const KIND_AT: usize = offset_of!(Tensor, version);

const _: () = assert!(offset_of!(Tensor, raw_shapes) == WHOLE_TENSOR_BYTES);
const _: () = assert!(offset_of!(Tensor, offsets) > WHOLE_TENSOR_BYTES);
const _: () = assert!(offset_of!(TensorCreateInfo, version) == KIND_AT);
const _: () = assert!(size_of::<TensorCreateInfo>() == WHOLE_TENSOR_BYTES);

/// Writes the tensor of an output of so many bytes at an address, and fills that with its initial value.
///
/// # Safety
///
/// `info` points at a create-info that was checked, and may be aligned to words only; `place` is
/// writable, and nobody else uses it, nor the bytes of the output.
#[inline(always)]
pub(super) unsafe fn write_output<P: Platform>(
    platform: &P,
    info: *const TensorCreateInfo,
    place: *mut Tensor,
    buffer: BufferHandle,
    owner: TaskId,
) {
    // SAFETY: by the contract. Rank, type, flags (which say that nothing in the second line counts) and
    // shape are where the create-info has them.
    unsafe { copy_bytes::<WHOLE_TENSOR_BYTES>(info.cast(), place.cast()) };
    // SAFETY: any bytes are a valid tensor; nobody else uses it.
    let tensor = unsafe { &mut *place };
    tensor.buffer = buffer;
    tensor.owner_task_id = owner;
    tensor.start_offset = 0;
    (tensor.is_all_offset_zero, tensor.is_raw_eq_shapes) = (1, 1);
    // SAFETY: by the contract.
    if unsafe { (&raw const (*info).has_initial_value).read() } != 0 {
        // SAFETY: as above.
        let value = unsafe { (&raw const (*info).initial_value).read() };
        fill_initial(platform, tensor.dtype, value, buffer);
    }
}

/// Writes the scalars of a task into its slot: `count` of `scalars`.
#[inline(always)]
pub(super) fn write_scalars(
    arguments: Arguments<'_>,
    scalars: &[u64; MAX_SCALAR_ARGS],
    count: usize,
) {
    if count == 0 {
        return;
    }
    let (first, more) = arguments.scalar_pointers();
    if let Some(scalars) = scalars.first_chunk() {
        // A whole line, whatever is in the rest of it: less than to count.
        // SAFETY: the line is one of the slot, which is the orchestrator's.
        unsafe { first.write(*scalars) };
    }
    if let Some(rest) = scalars.get(INLINE_SCALARS..count) {
        // SAFETY: there is room for all scalars that there can be, and the slot is the orchestrator's.
        unsafe { more.copy_from_nonoverlapping(rest.as_ptr(), rest.len()) };
    }
}

/// Copies a tensor, and fills in where in its buffer it begins.
///
/// # Safety
///
/// `source` points at a tensor that may be aligned to words only and passes `check_kind`; `place` is
/// writable, and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn copy_tensor(source: *const Tensor, place: *mut Tensor) {
    // SAFETY: the first line of a tensor, by the contract.
    unsafe { copy_bytes::<WHOLE_TENSOR_BYTES>(source.cast(), place.cast()) };
    // SAFETY: any bytes are a valid tensor, so those that an earlier task has left in the second line
    // are as well; nobody else uses it.
    let tensor = unsafe { &mut *place };
    if tensor.is_all_offset_zero != 0 && tensor.is_raw_eq_shapes != 0 {
        tensor.start_offset = 0;
        return;
    }
    // SAFETY: by the contract: the part of the second line that means something.
    unsafe { copy_rest(source.cast(), place.cast()) };
    // SAFETY: as above.
    let tensor = unsafe { &mut *place };
    tensor.start_offset = start_offset(tensor);
}

/// Copies the second line of a tensor as far as it means something.
///
/// # Safety
///
/// As for [`copy_tensor`].
#[inline(always)]
unsafe fn copy_rest(source: *const u8, place: *mut u8) {
    const REST: usize = TENSOR_BYTES - WHOLE_TENSOR_BYTES;
    let from = source.wrapping_add(WHOLE_TENSOR_BYTES);
    // SAFETY: within the tensor, by the contract.
    unsafe { copy_bytes::<REST>(from.cast(), place.wrapping_add(WHOLE_TENSOR_BYTES).cast()) };
}

/// Copies so many bytes.
///
/// # Safety
///
/// `source` is readable and `place` writable for that many, and they are apart.
#[inline(always)]
unsafe fn copy_bytes<const BYTES: usize>(source: *const [u8; BYTES], place: *mut [u8; BYTES]) {
    // SAFETY: by the contract.
    unsafe { place.copy_from_nonoverlapping(source, 1) };
}

/// Fills a fresh output with its initial value, the rounding at its end included (spec trb §1.6).
#[inline(never)]
fn fill_initial<P: Platform>(platform: &P, dtype: u8, value: u64, buffer: BufferHandle) {
    let BufferHandle { addr: address, size: bytes } = buffer;
    if bytes == 0 {
        return;
    }
    // An unknown type was refused when the request was read.
    let Ok(dtype) = protocol::DataType::try_from(dtype) else { return };
    let (element, length) = (dtype.element_bytes() as usize, bytes as usize);
    let value = value.to_le_bytes();
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
