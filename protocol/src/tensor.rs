//! Tensors as records: what a run passes in, what a task sees, what a task asks to be allocated.
//!
//! | record             | written by         | read by                          |
//! |--------------------|--------------------|----------------------------------|
//! | `ContinuousTensor` | host               | orchestration, as run argument   |
//! | `Tensor`           | orchestration      | executor, then kernels           |
//! | `TensorCreateInfo` | orchestration      | executor, during submit only     |
//!
//! Element types are plain bytes in the records, since orchestrations and blobs are not trusted
//! to hold a valid [`DataType`].

use crate::ids::TaskId;
use crate::layout::layout;
use crate::limits::MAX_TENSOR_DIMS;
use crate::wire_enum::{UnknownValue, wire_enum};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// Element type of a tensor (spec callable §1.2).
    pub enum DataType: u8 = "DataType", DATA_TYPE {
        /// IEEE 754 binary32.
        Float32 = 0 => "FLOAT32",
        /// IEEE 754 binary16.
        Float16 = 1 => "FLOAT16",
        /// Signed, 4 bytes.
        Int32 = 2 => "INT32",
        /// Signed, 2 bytes.
        Int16 = 3 => "INT16",
        /// Signed, 1 byte.
        Int8 = 4 => "INT8",
        /// Unsigned, 1 byte.
        Uint8 = 5 => "UINT8",
        /// Upper half of a binary32.
        Bfloat16 = 6 => "BFLOAT16",
        /// Signed, 8 bytes.
        Int64 = 7 => "INT64",
        /// Unsigned, 8 bytes.
        Uint64 = 8 => "UINT64",
        /// Unsigned, 2 bytes.
        Uint16 = 9 => "UINT16",
        /// Unsigned, 4 bytes.
        Uint32 = 10 => "UINT32",
    }
}

impl DataType {
    /// Returns the size of one element in bytes.
    pub const fn element_bytes(self) -> u64 {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Float16 | Self::Bfloat16 | Self::Int16 | Self::Uint16 => 2,
            Self::Float32 | Self::Int32 | Self::Uint32 => 4,
            Self::Int64 | Self::Uint64 => 8,
        }
    }

    /// Returns the type of this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.name().eq_ignore_ascii_case(name))
    }
}

/// Why a tensor record makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorError {
    /// More dimensions than the record has room for.
    TooManyDims {
        /// Dimensions stated.
        ndims: u32,
    },
    /// The element type is no [`DataType`].
    UnknownDataType(UnknownValue),
    /// The shape describes more than 2⁶⁴−1 bytes.
    TooLarge,
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyDims { ndims } => {
                write!(f, "tensor has {ndims} dimensions: use at most {MAX_TENSOR_DIMS}")
            }
            Self::UnknownDataType(unknown) => write!(f, "tensor element type: {unknown}"),
            Self::TooLarge => f.write_str("tensor size exceeds 64 bits: check its shape"),
        }
    }
}

impl core::error::Error for TensorError {}

/// Multiplies out a shape; the product of no dimensions is one element (spec callable §1.3).
fn shape_bytes(shapes: &[u32; MAX_TENSOR_DIMS], ndims: u32, dtype: u8) -> Result<u64, TensorError> {
    let dtype = DataType::try_from(dtype).map_err(TensorError::UnknownDataType)?;
    // CAST: u32 to usize is lossless on every supported target; `get` rejects what is too large.
    let dims = shapes.get(..ndims as usize).ok_or(TensorError::TooManyDims { ndims })?;
    // An empty dimension makes the tensor empty, whatever the others multiply to.
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.iter()
        .try_fold(dtype.element_bytes(), |bytes, &dim| bytes.checked_mul(u64::from(dim)))
        .ok_or(TensorError::TooLarge)
}

/// A dense tensor that a run passes in (spec callable §1.3). Part of `ChipStorageTaskArgs`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ContinuousTensor {
    /// First byte: a host address until the host stages it, a device address afterwards.
    pub data: u64,
    /// Elements per dimension; the first `ndims` count.
    pub shapes: [u32; MAX_TENSOR_DIMS],
    /// Dimensions, 1 to 5; 0 is one element.
    pub ndims: u32,
    /// A [`DataType`] number.
    pub dtype: u8,
    /// 0: host memory that the runtime stages. Otherwise device memory that it passes through.
    pub child_memory: u8,
    /// Written as zero.
    pub reserved: [u8; 6],
}

layout! {
    CONTINUOUS_TENSOR: ContinuousTensor = "ContinuousTensor" on both, size 40, align 8 {
        data @ 0, shapes @ 8, ndims @ 28, dtype @ 32, child_memory @ 33,
    } reserved { reserved @ 34 }
}

impl ContinuousTensor {
    /// Returns the size of the tensor in bytes.
    ///
    /// # Errors
    ///
    /// [`TensorError`] for more than 5 dimensions, an unknown element type, or a size that does
    /// not fit 64 bits.
    pub fn byte_len(&self) -> Result<u64, TensorError> {
        shape_bytes(&self.shapes, self.ndims, self.dtype)
    }

    /// Returns the element type.
    ///
    /// # Errors
    ///
    /// [`UnknownValue`] where the byte is no [`DataType`].
    pub fn data_type(&self) -> Result<DataType, UnknownValue> {
        DataType::try_from(self.dtype)
    }

    /// Returns whether the tensor is device memory that the host must not stage.
    pub const fn is_child_memory(&self) -> bool {
        self.child_memory != 0
    }
}

/// A range of device memory.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct BufferHandle {
    /// First byte; the key by which dependencies are found.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
}

layout! {
    BUFFER_HANDLE: BufferHandle = "PTOBufferHandle" on both, size 16, align 8 { addr @ 0, size @ 8 }
}

/// A view of a buffer, as tasks take and return it (spec trb §1.5).
///
/// Written by the orchestration, or by the executor for allocated outputs. The executor's copy in
/// the task payload is what kernels receive a pointer to. The flag bytes are C++ `bool`s.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Tensor {
    /// The memory underneath.
    pub buffer: BufferHandle,
    /// Task that allocated the buffer; invalid for memory from outside.
    pub owner_task_id: TaskId,
    /// Flat offset of the view in elements. Valid only in a task payload.
    pub start_offset: u64,
    /// Input of the overlap rule; 0 in practice.
    pub version: i32,
    /// Dimensions, at most 5.
    pub ndims: u32,
    /// A [`DataType`] number.
    pub dtype: u8,
    /// Not 0: `offsets` is not meaningful, all are zero.
    pub is_all_offset_zero: u8,
    /// Not 0: `raw_shapes` is not meaningful, it equals `shapes`.
    pub is_raw_eq_shapes: u8,
    /// Not 0: only the dependency on the owner is tracked.
    pub manual_dep: u8,
    /// Elements per dimension of the view.
    pub shapes: [u32; MAX_TENSOR_DIMS],
    /// Elements per dimension of the buffer, row-major.
    pub raw_shapes: [u32; MAX_TENSOR_DIMS],
    /// Offset of the view per dimension, in elements.
    pub offsets: [u32; MAX_TENSOR_DIMS],
    /// Written as zero.
    pub reserved: [u8; 24],
}

layout! {
    TENSOR: Tensor = "Tensor" on both, size 128, align 64 {
        buffer @ 0, owner_task_id @ 16, start_offset @ 24, version @ 32, ndims @ 36, dtype @ 40,
        is_all_offset_zero @ 41, is_raw_eq_shapes @ 42, manual_dep @ 43, shapes @ 44,
        raw_shapes @ 64, offsets @ 84, reserved as "_pad_cl2" @ 104,
    }
}

impl Tensor {
    /// Returns the element type.
    ///
    /// # Errors
    ///
    /// [`UnknownValue`] where the byte is no [`DataType`].
    pub fn data_type(&self) -> Result<DataType, UnknownValue> {
        DataType::try_from(self.dtype)
    }
}

/// A tensor that the executor shall allocate for a task (spec trb §1.5).
///
/// Bytes 32 to 63 equal those of a [`Tensor`]. Lives in the orchestration's stack until the submit
/// call returns.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TensorCreateInfo {
    /// Bit pattern of the element with which the buffer is filled.
    pub initial_value: u64,
    /// Not 0: fill the buffer with `initial_value`.
    pub has_initial_value: u8,
    /// Written as zero.
    pub reserved0: [u8; 7],
    /// Written as zero.
    pub reserved1: u64,
    /// Written as zero.
    pub reserved2: u64,
    /// As in [`Tensor`].
    pub version: i32,
    /// Dimensions, at most 5.
    pub ndims: u32,
    /// A [`DataType`] number.
    pub dtype: u8,
    /// Always not 0.
    pub is_all_offset_zero: u8,
    /// Always not 0.
    pub is_raw_eq_shapes: u8,
    /// As in [`Tensor`].
    pub manual_dep: u8,
    /// Elements per dimension.
    pub raw_shapes: [u32; MAX_TENSOR_DIMS],
}

layout! {
    TENSOR_CREATE_INFO: TensorCreateInfo = "TensorCreateInfo" on both, size 64, align 64 {
        initial_value @ 0, has_initial_value @ 8, reserved0 as "__pad1__" @ 9,
        reserved1 as "__pad2__" @ 16, reserved2 as "__pad3__" @ 24, version @ 32, ndims @ 36,
        dtype @ 40, is_all_offset_zero @ 41, is_raw_eq_shapes @ 42, manual_dep @ 43,
        raw_shapes @ 44,
    }
}

impl TensorCreateInfo {
    /// Returns the size to allocate in bytes, before rounding.
    ///
    /// # Errors
    ///
    /// As [`ContinuousTensor::byte_len`].
    pub fn byte_len(&self) -> Result<u64, TensorError> {
        shape_bytes(&self.raw_shapes, self.ndims, self.dtype)
    }
}

#[cfg(test)]
mod tests;
