//! What an orchestration on the host says of its tasks' tensors, for dumps of them (hbg).
//!
//! | record | written by | read by |
//! |---|---|---|
//! | `TensorInfo` | orchestration, one for each tensor argument of a task | host, which keeps it with the graph |
//! | `TensorAllocationInfo` | host | nobody here: where the tensors are in the reference's dumps |
//!
//! Nothing of it changes what runs, so that it is taken as it comes: element type and dimensions are
//! for whoever makes something of them to check.

use crate::addr::DeviceAddr;
use crate::layout::layout;
use crate::limits::MAX_TENSOR_DIMS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What one tensor argument of a task looks like (spec hbg §A3).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TensorInfo {
    /// A [`DataType`](crate::DataType) number.
    pub dtype: u8,
    /// Dimensions that count, at most 5.
    pub ndims: u8,
    /// Written as zero.
    pub reserved: u16,
    /// Elements per dimension of what the task uses.
    pub shapes: [u32; MAX_TENSOR_DIMS],
    /// Elements per dimension of the tensor in memory, of which the task may use a part.
    pub raw_shapes: [u32; MAX_TENSOR_DIMS],
    /// Where in it that part begins, in elements per dimension.
    pub offsets: [u32; MAX_TENSOR_DIMS],
}

layout! {
    TENSOR_INFO: TensorInfo = "TensorInfo" on both, size 64, align 4 {
        dtype @ 0, ndims @ 1, reserved @ 2, shapes @ 4, raw_shapes @ 24, offsets @ 44,
    }
}

/// A range of device memory that an orchestration has allocated (spec hbg §A3).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TensorAllocationInfo {
    /// First byte.
    pub base_addr: DeviceAddr,
    /// Bytes.
    pub size_bytes: u64,
}

layout! {
    TENSOR_ALLOCATION_INFO: TensorAllocationInfo = "TensorAllocationInfo" on both,
    size 16, align 8 { base_addr @ 0, size_bytes @ 8 }
}
