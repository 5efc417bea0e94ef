//! Arguments as they travel between processes: counts, then tensors, then scalars.
//!
//! ```text
//! 0      i32 T           tensors
//! 4      i32 S           scalars
//! 8      T × 40 bytes    ContinuousTensor
//! 8+40T  S × 8 bytes     u64
//! ```
//!
//! The sender may use a larger area than the arguments need, so that what follows is ignored
//! (spec callable §1.5).

use crate::task_args::{ArgsError, ChipStorageTaskArgs};
use crate::tensor::ContinuousTensor;
use crate::wire::{self, WireError};
use zerocopy::FromBytes;

/// Bytes of the two counts.
const COUNTS_BYTES: usize = 8;
/// Bytes of one tensor.
const TENSOR_BYTES: usize = size_of::<ContinuousTensor>();
/// Bytes of one scalar.
const SCALAR_BYTES: usize = size_of::<u64>();

/// Checked arguments, borrowed from a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgsBlobView<'a> {
    tensors: &'a [[u8; TENSOR_BYTES]],
    scalars: &'a [[u8; SCALAR_BYTES]],
}

impl<'a> ArgsBlobView<'a> {
    /// Checks the arguments at the start of `area`, at any alignment.
    ///
    /// The numbers of tensors and scalars are bounded by the area only; a run's limits are checked
    /// by [`to_chip_storage`](Self::to_chip_storage).
    ///
    /// # Errors
    ///
    /// [`WireError`] where a count is negative, the area is too small, or a tensor makes no sense.
    pub fn parse(area: &'a [u8]) -> Result<Self, WireError> {
        let tensor_count: i32 = wire::read(area, 0, "argument counts")?;
        let scalar_count: i32 = wire::read(area, 4, "argument counts")?;
        let max = wire::widen(i32::MAX.unsigned_abs());
        let tensor_count = wire::count(tensor_count, max, "tensor count")?;
        let scalar_count = wire::count(scalar_count, max, "scalar count")?;
        let (_, rest) = area.split_at_checked(COUNTS_BYTES).unwrap_or((area, &[]));
        let truncated = |need: Option<usize>| WireError::Truncated {
            what: "arguments",
            need: need.unwrap_or(usize::MAX),
            have: area.len(),
        };
        let tensor_bytes = tensor_count.checked_mul(TENSOR_BYTES);
        let scalar_bytes = scalar_count.checked_mul(SCALAR_BYTES);
        let need = tensor_bytes
            .zip(scalar_bytes)
            .and_then(|(tensors, scalars)| tensors.checked_add(scalars)?.checked_add(COUNTS_BYTES));
        let (tensors, rest) = tensor_bytes
            .and_then(|bytes| rest.split_at_checked(bytes))
            .ok_or_else(|| truncated(need))?;
        let (scalars, _) = scalar_bytes
            .and_then(|bytes| rest.split_at_checked(bytes))
            .ok_or_else(|| truncated(need))?;
        let view = Self { tensors: tensors.as_chunks().0, scalars: scalars.as_chunks().0 };
        for (index, tensor) in view.tensors().enumerate() {
            tensor.byte_len().map_err(|error| WireError::Tensor { index, error })?;
        }
        Ok(view)
    }

    /// Returns the number of tensors.
    pub const fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// Returns the number of scalars.
    pub const fn scalar_count(&self) -> usize {
        self.scalars.len()
    }

    /// Returns the tensors in order.
    pub fn tensors(&self) -> impl Iterator<Item = ContinuousTensor> + use<'a> {
        // Each chunk has the size of a tensor, so that none is left out.
        self.tensors.iter().filter_map(|bytes| ContinuousTensor::read_from_bytes(bytes).ok())
    }

    /// Returns the scalars in order.
    pub fn scalars(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.scalars.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Returns the bytes that the arguments take.
    pub const fn byte_len(&self) -> usize {
        COUNTS_BYTES + self.tensors.len() * TENSOR_BYTES + self.scalars.len() * SCALAR_BYTES
    }

    /// Copies the arguments into the record of a run.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Full`] for more than 64 tensors or 128 scalars.
    pub fn to_chip_storage(&self) -> Result<ChipStorageTaskArgs, ArgsError> {
        let mut args = ChipStorageTaskArgs::new();
        self.tensors().try_for_each(|tensor| args.push_tensor(tensor))?;
        self.scalars().try_for_each(|bits| args.push_scalar(bits))?;
        Ok(args)
    }
}
