//! The bytes of a callable: an orchestration image and the kernels that its tasks run.
//!
//! A [`ChipCallable`] header is followed by its storage: the orchestration image, then each kernel
//! as a [`CoreCallable`] at a multiple of 64 from the start of the storage. The storage itself
//! starts at 8596, so that kernels are 4-aligned only: no reference to a `CoreCallable` inside a
//! blob is possible. [`parse`] reads any bytes; `host-runner` builds blobs, since that needs
//! allocation (spec callable §1.7-1.8).

use crate::layout::layout;
use crate::limits::{CHIP_MAX_TENSOR_ARGS, CORE_MAX_TENSOR_ARGS, MAX_CHILDREN, SYMBOL_NAME_BYTES};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

pub mod parse;

/// Offset of the code from the start of a [`CoreCallable`], in bytes: its header, rounded up to 64.
pub const CORE_BINARY_OFFSET: usize = 128;

const _: () = assert!(
    CORE_BINARY_OFFSET == size_of::<CoreCallable>().next_multiple_of(crate::limits::CALLABLE_ALIGN)
);

/// Header of a kernel (spec callable §1.7).
///
/// In a blob from outside, all of it is a claim. The platform fills `resolved_addr` in its own
/// copy when it makes the kernel resident; the AICPU then reads that field at dispatch.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CoreCallable {
    /// `ArgDirection` numbers; the first `sig_count` count.
    pub signature: [i32; CORE_MAX_TENSOR_ARGS],
    /// Arguments in the signature, 0 to 16.
    pub sig_count: i32,
    /// Bytes of the code, which starts at [`CORE_BINARY_OFFSET`].
    pub binary_size: u32,
    /// Entry to call; 0 until the kernel is resident.
    pub resolved_addr: u64,
    /// Marks the end of the header. The code starts later, see [`CORE_BINARY_OFFSET`].
    pub storage: [u8; 0],
}

layout! {
    CORE_CALLABLE: CoreCallable = "CoreCallable" on both, size 80, align 8 {
        signature as "signature_" @ 0, sig_count as "sig_count_" @ 64,
        binary_size as "binary_size_" @ 68, resolved_addr as "resolved_addr_" @ 72,
        storage as "storage_" @ 80,
    }
}

/// Header of a callable (spec callable §1.8).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ChipCallable {
    /// `ArgDirection` numbers; the first `sig_count` count.
    pub signature: [i32; CHIP_MAX_TENSOR_ARGS],
    /// Arguments in the signature, 0 to 64.
    pub sig_count: i32,
    /// Bytes of the orchestration image, which starts the storage.
    pub binary_size: u32,
    /// Entry symbol, NUL-padded; empty is the default.
    pub func_name: [u8; SYMBOL_NAME_BYTES],
    /// Bytes of the entry symbol, at most 63.
    pub func_name_len: u32,
    /// Func id of each kernel; the first `child_count` count.
    pub child_func_ids: [i32; MAX_CHILDREN],
    /// Offset of each kernel from the start of the storage; the first `child_count` count.
    pub child_offsets: [u32; MAX_CHILDREN],
    /// Kernels, 0 to 1024.
    pub child_count: i32,
    /// Configuration symbol, NUL-padded; empty is the default.
    pub config_name: [u8; SYMBOL_NAME_BYTES],
    /// Bytes of the configuration symbol, at most 63.
    pub config_name_len: u32,
    /// Marks the start of the storage.
    pub storage: [u8; 0],
}

layout! {
    CHIP_CALLABLE: ChipCallable = "ChipCallable" on both, size 8596, align 4 {
        signature as "signature_" @ 0, sig_count as "sig_count_" @ 256,
        binary_size as "binary_size_" @ 260, func_name as "func_name_" @ 264,
        func_name_len as "func_name_len_" @ 328, child_func_ids as "child_func_ids_" @ 332,
        child_offsets as "child_offsets_" @ 4428, child_count as "child_count_" @ 8524,
        config_name as "config_name_" @ 8528, config_name_len as "config_name_len_" @ 8592,
        storage as "storage_" @ 8596,
    }
}

impl Default for CoreCallable {
    /// Returns a header with an empty signature and no code; every byte is zero.
    fn default() -> Self {
        Self::new_zeroed()
    }
}

impl Default for ChipCallable {
    /// Returns a header without names, image and kernels; every byte is zero.
    fn default() -> Self {
        Self::new_zeroed()
    }
}
