//! The arguments of one run: tensors that borrow the caller's memory, then scalars.
//!
//! Directions are part of the type: what the callable only reads is borrowed shared, what it writes
//! is borrowed for writing, so that no output can be read or aliased while a run fills it. Sizes
//! are checked when a tensor is added, so a run never meets a buffer that is too short.
//!
//! ```
//! use host_runner::arguments::Arguments;
//!
//! let (a, b) = ([1.0f32; 6], [2.0f32; 6]);
//! let mut sum = [0.0f32; 6];
//! let mut arguments = Arguments::new();
//! arguments.push_input(&a, &[2, 3])?;
//! arguments.push_input(&b, &[2, 3])?;
//! arguments.push_output(&mut sum, &[2, 3])?;
//! arguments.push_scalar_value(6i32)?;
//! # Ok::<(), host_runner::arguments::ArgumentsError>(())
//! ```

use std::fmt;

use protocol::{
    ArgDirection, CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS, ChipStorageTaskArgs,
    ContinuousTensor, DataType, DeviceAddr, MAX_TENSOR_DIMS,
};

use zerocopy::IntoBytes as _;

mod element;
mod owned;
mod snapshot;
mod tensor_set;

pub use self::element::Element;
pub use self::owned::{OwnedArguments, OwnedData};
pub(crate) use self::snapshot::Spares;
use self::tensor_set::show;
pub(crate) use self::tensor_set::{Place, TensorSet};

/// Where a tensor is, and what the callable does with it.
#[derive(Debug)]
pub enum TensorData<'a> {
    /// Host memory that the callable reads.
    In(&'a [u8]),
    /// Host memory that the callable fills. It is not copied to the device: parts that the callable
    /// does not write come back as zeros, or as what an earlier run of the callable left there. Use
    /// [`InOut`](Self::InOut) if they are to stay as they are.
    Out(&'a mut [u8]),
    /// Host memory that the callable reads and changes.
    InOut(&'a mut [u8]),
    /// Host memory that the callable uses as its signature declares; what it does not declare is
    /// [`InOut`](Self::InOut).
    Declared(&'a mut [u8]),
    /// Device memory, passed through as it is (spec callable §1.3, `child_memory`).
    Device(DeviceAddr),
}

/// One tensor argument: C order, no gaps, little-endian.
#[derive(Debug)]
pub struct TensorArgument<'a> {
    /// Where it is.
    pub data: TensorData<'a>,
    /// Its element type.
    pub dtype: DataType,
    /// Elements per dimension: 1 to 5 dimensions, none of them zero.
    pub shape: Vec<u32>,
}

/// An argument that cannot be added.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsError {
    /// A tensor after a scalar.
    #[error("tensor {index} comes after a scalar; add all tensors first")]
    TensorAfterScalar {
        /// Its position among the tensors.
        index: usize,
    },
    /// More arguments than a run takes.
    #[error("a run takes at most {limit} {what} arguments; combine some of them")]
    TooMany {
        /// "tensor" or "scalar".
        what: &'static str,
        /// How many it takes.
        limit: usize,
    },
    /// A shape that no tensor can have.
    #[error(
        "tensor {index} has shape {shape:?}; use 1 to {max} dimensions, none of them zero",
        max = MAX_TENSOR_DIMS
    )]
    Shape {
        /// Its position among the tensors.
        index: usize,
        /// Its shape.
        shape: Vec<u32>,
    },
    /// A buffer of another size.
    #[error("tensor {index} of shape {shape:?} needs {need} bytes, but its buffer has {have}")]
    Length {
        /// Its position among the tensors.
        index: usize,
        /// Its shape.
        shape: Vec<u32>,
        /// Bytes that type and shape need.
        need: u64,
        /// Bytes of the buffer.
        have: usize,
    },
    /// An argument that is to be changed is not there.
    #[error("there is no {what} argument {index}")]
    NoSuchArgument {
        /// "tensor" or "scalar".
        what: &'static str,
        /// Its position.
        index: usize,
    },
    /// A device tensor without an address.
    #[error("tensor {index} is at the null device address; allocate it on the device first")]
    NullDevice {
        /// Its position among the tensors.
        index: usize,
    },
}

/// The arguments of a run, in the order in which the callable sees them.
#[derive(Default)]
pub struct Arguments<'a> {
    tensors: Vec<TensorData<'a>>,
    /// What the device gets, but for the addresses of host tensors.
    record: Box<ChipStorageTaskArgs>,
}

impl<'a> Arguments<'a> {
    /// Starts without arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`] after a scalar, beyond 64 tensors, or if shape and buffer disagree.
    pub fn push_tensor(&mut self, tensor: TensorArgument<'a>) -> Result<(), ArgumentsError> {
        self.push_data(tensor.data, tensor.dtype, &tensor.shape)
    }

    /// The same, in parts.
    ///
    /// # Errors
    ///
    /// As [`Arguments::push_tensor`].
    pub fn push_data(
        &mut self,
        data: TensorData<'a>,
        dtype: DataType,
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        let (bytes, device) = match &data {
            TensorData::In(bytes) => (Some(bytes.len()), None),
            TensorData::Out(bytes) | TensorData::InOut(bytes) | TensorData::Declared(bytes) => {
                (Some(bytes.len()), None)
            }
            TensorData::Device(address) => (None, Some(*address)),
        };
        pack_tensor(&mut self.record, dtype, shape, bytes, device)?;
        self.tensors.push(data);
        Ok(())
    }

    /// Takes all arguments away, and keeps the memory for others: who runs again and again with arguments
    /// of his own allocates nothing for them.
    #[must_use]
    pub fn emptied<'b>(mut self) -> Arguments<'b> {
        self.tensors.clear();
        clear_record(&mut self.record);
        // The same memory, for elements of another lifetime.
        #[expect(clippy::unnecessary_filter_map, reason = "there are none, and of another type")]
        let tensors = self.tensors.into_iter().filter_map(|_none| None).collect();
        Arguments { tensors, record: self.record }
    }

    /// Adds a tensor that the callable reads.
    ///
    /// # Errors
    ///
    /// As [`Arguments::push_tensor`].
    pub fn push_input<T: Element>(
        &mut self,
        elements: &'a [T],
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_data(TensorData::In(elements.as_bytes()), T::DTYPE, shape)
    }

    /// Adds a tensor that the callable fills.
    ///
    /// # Errors
    ///
    /// As [`Arguments::push_tensor`].
    pub fn push_output<T: Element>(
        &mut self,
        elements: &'a mut [T],
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_data(TensorData::Out(elements.as_mut_bytes()), T::DTYPE, shape)
    }

    /// Adds a tensor that the callable reads and changes.
    ///
    /// # Errors
    ///
    /// As [`Arguments::push_tensor`].
    pub fn push_inout<T: Element>(
        &mut self,
        elements: &'a mut [T],
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_data(TensorData::InOut(elements.as_mut_bytes()), T::DTYPE, shape)
    }

    /// Adds a scalar by its zero-extended bit pattern.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::TooMany`] beyond 128 scalars.
    pub fn push_scalar(&mut self, bits: u64) -> Result<(), ArgumentsError> {
        pack_scalar(&mut self.record, bits)
    }

    /// Adds a scalar of an element type: its bits, zero-extended (spec callable §1.2).
    ///
    /// # Errors
    ///
    /// As [`Arguments::push_scalar`].
    pub fn push_scalar_value<T: Element>(&mut self, value: T) -> Result<(), ArgumentsError> {
        self.push_scalar(scalar_bits(value))
    }

    /// The data of the tensors.
    #[must_use]
    pub fn tensors(&self) -> &[TensorData<'a>] {
        &self.tensors
    }

    /// The bytes of the tensor at `index`, if it is host memory that the callable writes.
    pub fn writable(&mut self, index: usize) -> Option<&mut [u8]> {
        match self.tensors.get_mut(index)? {
            TensorData::Out(bytes) | TensorData::InOut(bytes) | TensorData::Declared(bytes) => {
                Some(bytes)
            }
            TensorData::In(_) | TensorData::Device(_) => None,
        }
    }

    /// The scalars, as zero-extended bit patterns.
    #[must_use]
    pub fn scalars(&self) -> &[u64] {
        // The counts are this module's own.
        self.record.scalars().unwrap_or_default()
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, "Arguments", f)
    }
}

impl TensorSet for Arguments<'_> {
    fn record(&self) -> &ChipStorageTaskArgs {
        &self.record
    }

    fn place(&self, index: usize) -> Option<Place<'_>> {
        Some(match self.tensors.get(index)? {
            TensorData::In(bytes) => Place::Host(bytes, Some(ArgDirection::In)),
            TensorData::Out(bytes) => Place::Host(bytes, Some(ArgDirection::Out)),
            TensorData::InOut(bytes) => Place::Host(bytes, Some(ArgDirection::InOut)),
            TensorData::Declared(bytes) => Place::Host(bytes, None),
            TensorData::Device(address) => Place::Device(*address),
        })
    }

    fn writable(&mut self, index: usize) -> Option<&mut [u8]> {
        self.writable(index)
    }
}

/// Appends a tensor to a record: `bytes` of host memory, or what is at `device`.
fn pack_tensor(
    record: &mut ChipStorageTaskArgs,
    dtype: DataType,
    shape: &[u32],
    bytes: Option<usize>,
    device: Option<DeviceAddr>,
) -> Result<(), ArgumentsError> {
    // CAST: the counts are this module's own, from 0 to their limit.
    let index = record.tensor_count as usize;
    if record.scalar_count > 0 {
        return Err(ArgumentsError::TensorAfterScalar { index });
    }
    let limit = CHIP_MAX_TENSOR_ARGS;
    let Some(slot) = record.tensors.get_mut(index) else {
        return Err(ArgumentsError::TooMany { what: "tensor", limit });
    };
    check_shape(index, dtype, shape, bytes)?;
    let mut tensor = ContinuousTensor { dtype: dtype as u8, ..Default::default() };
    for (to, from) in tensor.shapes.iter_mut().zip(shape) {
        *to = *from;
        tensor.ndims += 1;
    }
    if let Some(address) = device {
        if address.is_null() {
            return Err(ArgumentsError::NullDevice { index });
        }
        tensor.data = address.raw();
        tensor.child_memory = 1;
    }
    *slot = tensor;
    record.tensor_count += 1;
    Ok(())
}

/// Takes all arguments out of a record that was packed here: what is beyond its counts is zero.
fn clear_record(record: &mut ChipStorageTaskArgs) {
    // CAST: (both) the counts are this module's own.
    let (tensors, scalars) = (record.tensor_count as usize, record.scalar_count as usize);
    record.tensors[..tensors].fill_with(ContinuousTensor::default);
    record.scalars[..scalars].fill(0);
    (record.tensor_count, record.scalar_count) = (0, 0);
}

/// Appends a scalar to a record.
fn pack_scalar(record: &mut ChipStorageTaskArgs, bits: u64) -> Result<(), ArgumentsError> {
    let full = ArgumentsError::TooMany { what: "scalar", limit: CHIP_MAX_SCALAR_ARGS };
    record.push_scalar(bits).map_err(|_| full)
}

/// A scalar's bits, zero-extended (spec callable §1.2).
fn scalar_bits<T: Element>(value: T) -> u64 {
    let mut wide = [0; size_of::<u64>()];
    wide[..size_of::<T>()].copy_from_slice(value.as_bytes());
    u64::from_le_bytes(wide)
}

/// Bytes of a tensor; `u64::MAX` where they are more than that.
fn tensor_bytes(dtype: DataType, shape: &[u32]) -> u64 {
    let bytes = dtype.element_bytes();
    let mut counts = shape.iter();
    counts.try_fold(bytes, |bytes, count| bytes.checked_mul((*count).into())).unwrap_or(u64::MAX)
}

/// Checks a shape, and that it agrees with the buffer if there is one.
fn check_shape(
    index: usize,
    dtype: DataType,
    shape: &[u32],
    bytes: Option<usize>,
) -> Result<(), ArgumentsError> {
    if shape.contains(&0) || !(1..=MAX_TENSOR_DIMS).contains(&shape.len()) {
        return Err(ArgumentsError::Shape { index, shape: shape.to_vec() });
    }
    let need = tensor_bytes(dtype, shape);
    match bytes {
        Some(have) if have as u64 != need => {
            Err(ArgumentsError::Length { index, shape: shape.to_vec(), need, have })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
