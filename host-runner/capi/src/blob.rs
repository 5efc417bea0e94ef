//! The client's callable, of which only the first byte is known.
//!
//! The call passes no size (spec callable §7.2, S1), so the blob itself has to say how long it is.
//! Nothing is believed: the header is looked at first, then the last kernel, which is where the blob
//! ends, and every step only after the system has said that the memory is there. The parser then
//! checks all of it.

use std::ffi::c_void;
use std::mem::offset_of;

use host_runner::callable::Callable;
use protocol::{CORE_BINARY_OFFSET, ChipCallable, CoreCallable, MAX_CHILDREN};
use zerocopy::FromBytes;

use crate::client_memory;
use crate::failure::Failure;

/// Largest blob that is copied, in bytes: 1 GiB.
pub const BLOB_BYTES_MAX: usize = 1 << 30;

/// What messages call the blob.
const WHAT: &str = "the callable";

/// Reads a callable whose size the client does not say.
///
/// # Safety
///
/// Nobody changes or unmaps the callable meanwhile.
///
/// # Errors
///
/// It is not all readable, larger than [`BLOB_BYTES_MAX`], or damaged.
pub(crate) unsafe fn read(address: *const c_void) -> Result<Callable, Failure> {
    // SAFETY: as the caller promises.
    unsafe {
        let bytes = extent(address)?;
        read_sized(address, bytes)
    }
}

/// Reads a callable of `bytes` bytes.
///
/// # Safety
///
/// As [`read`].
///
/// # Errors
///
/// As [`read`].
pub(crate) unsafe fn read_sized(address: *const c_void, bytes: usize) -> Result<Callable, Failure> {
    if bytes > BLOB_BYTES_MAX {
        return Err(Failure::refused(format!(
            "{WHAT} has {bytes} bytes; at most {BLOB_BYTES_MAX} are taken"
        )));
    }
    // SAFETY: as the caller promises.
    let blob = unsafe { client_memory::copy(WHAT, address, bytes)? };
    Callable::from_blob(blob)
        .map_err(|error| Failure::refused(format!("{WHAT} is damaged: {error}")))
}

/// Bytes up to the end of the last kernel, as header and kernel state them.
///
/// # Safety
///
/// As [`read`].
unsafe fn extent(address: *const c_void) -> Result<usize, Failure> {
    let header_bytes = size_of::<ChipCallable>();
    // SAFETY: as the caller promises.
    let header = unsafe { client_memory::copy(WHAT, address, header_bytes)? };
    let (header, _) = ChipCallable::read_from_prefix(&header)
        .map_err(|_| Failure::refused(format!("{WHAT} has no header")))?;
    // CAST: u32 to usize is lossless on the supported targets. Sums of a few of them do not overflow.
    let image_bytes = header.binary_size as usize;
    let count = usize::try_from(header.child_count).ok().filter(|count| *count <= MAX_CHILDREN);
    let Some(count) = count else {
        let count = header.child_count;
        let text = format!("{WHAT} is damaged: {count} kernels, of 0 to {MAX_CHILDREN}");
        return Err(Failure::refused(text));
    };
    // Kernels lie one behind the other, which the parser checks: the last one ends the blob.
    let Some(&last) = header.child_offsets[..count].last() else {
        return Ok(header_bytes + image_bytes);
    };
    let kernel = header_bytes + last as usize;
    let size_at = kernel + offset_of!(CoreCallable, binary_size);
    // SAFETY: as the caller promises. An address that wraps around is in no memory.
    let code_bytes: u32 =
        unsafe { client_memory::read("its last kernel", address.wrapping_byte_add(size_at))? };
    Ok(kernel + CORE_BINARY_OFFSET + code_bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_runner::callable::KernelImage;
    use protocol::{CoreType, FuncId};

    fn callable(kernels: usize) -> Callable {
        let builder = Callable::builder(vec![0x7F; 100]).entry("entry");
        let kernel = |index: usize| KernelImage {
            func_id: FuncId::new(index as i64).unwrap(),
            core_type: CoreType::Aiv,
            binary: vec![7; 65 + index],
            name: String::from("kernel"),
        };
        (0..kernels)
            .map(kernel)
            .fold(builder, host_runner::callable::CallableBuilder::kernel)
            .build()
            .unwrap()
    }

    #[test]
    fn the_extent_is_what_the_builder_made_at_any_alignment() {
        for kernels in [0, 1, 3] {
            let callable = callable(kernels);
            for shift in 0..8 {
                let mut bytes = vec![0; shift];
                bytes.extend_from_slice(callable.blob());
                // Bytes behind the blob are not part of it.
                bytes.extend_from_slice(&[0xEE; 100]);
                // SAFETY: the vector stays as it is.
                let read = unsafe { read(bytes[shift..].as_ptr().cast()) }.unwrap();
                assert_eq!(read.blob(), callable.blob());
            }
        }
    }

    #[test]
    fn counts_and_sizes_that_make_no_sense_are_refused_before_they_are_used() {
        let blob = callable(2).blob().to_vec();
        let refused = |at: usize, value: u32| {
            let mut blob = blob.clone();
            blob[at..at + 4].copy_from_slice(&value.to_le_bytes());
            // SAFETY: the vector stays as it is.
            unsafe { read(blob.as_ptr().cast()) }.unwrap_err().text
        };
        let count = offset_of!(ChipCallable, child_count);
        for value in [1025, u32::MAX, 1 << 31] {
            assert!(refused(count, value).contains("1024"), "{value}");
        }
        for value in [u32::MAX, 1 << 31] {
            refused(offset_of!(ChipCallable, binary_size), value);
            refused(offset_of!(ChipCallable, child_offsets) + 4, value);
        }
        let (header, last) = (size_of::<ChipCallable>(), offset_of!(CoreCallable, binary_size));
        refused(header + 128 + last, u32::MAX);
    }

    #[test]
    fn a_stated_size_has_to_be_the_size() {
        let blob = callable(1).blob().to_vec();
        // SAFETY: the vector stays as it is.
        let sized = |bytes| unsafe { read_sized(blob.as_ptr().cast(), bytes) };
        assert!(sized(blob.len()).is_ok());
        for bytes in [0, 1, 8595, blob.len() - 1, BLOB_BYTES_MAX + 1, usize::MAX] {
            assert!(sized(bytes).is_err(), "{bytes}");
        }
    }
}
