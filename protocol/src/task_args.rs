//! The arguments of one run: tensors first, then scalars.
//!
//! Written by the host into the `Runtime` record, read by the orchestration through the pointer
//! that its entry receives (spec callable §1.4). Counts in a received record are claims, so that
//! [`tensors`](ChipStorageTaskArgs::tensors) and [`scalars`](ChipStorageTaskArgs::scalars) check.

use crate::layout::layout;
use crate::limits::{CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS};
use crate::tensor::ContinuousTensor;
use crate::wire_enum::wire_enum;
use core::fmt;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// Role of an argument in a callable's signature (spec callable §1.2).
    pub enum ArgDirection: i32 = "ArgDirection", ARG_DIRECTION {
        /// A value, not a tensor.
        Scalar = 0 => "SCALAR",
        /// Read only.
        In = 1 => "IN",
        /// Written only.
        Out = 2 => "OUT",
        /// Read and written.
        InOut = 3 => "INOUT",
    }
}

wire_enum! {
    /// How a task uses a tensor: what it depends on, and what depends on it (spec trb §1.6).
    pub enum ArgTag: i32 = "TensorArgType", ARG_TAG {
        /// Waits for every writer; registers nothing.
        Input = 0 => "INPUT",
        /// Allocated by the executor; readers wait for the owner.
        Output = 1 => "OUTPUT",
        /// Waits for every writer and becomes one.
        InOut = 2 => "INOUT",
        /// Existing memory: waits for the owner only and becomes a writer.
        OutputExisting = 3 => "OUTPUT_EXISTING",
        /// Waits for the owner only; registers nothing.
        NoDep = 4 => "NO_DEP",
    }
}

/// Why an argument cannot be added, or a received record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ArgsError {
    /// A tensor was added after a scalar.
    TensorAfterScalar,
    /// No slot is left.
    Full {
        /// "tensor" or "scalar".
        what: &'static str,
        /// Slots.
        limit: usize,
    },
    /// The record's count is negative or larger than its array.
    CountOutOfRange {
        /// "tensor" or "scalar".
        what: &'static str,
        /// Count stated.
        value: i32,
        /// Slots.
        limit: usize,
    },
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TensorAfterScalar => {
                f.write_str("tensor added after a scalar: add all tensors first")
            }
            Self::Full { what, limit } => {
                write!(f, "all {limit} {what} arguments are in use: pass fewer")
            }
            Self::CountOutOfRange { what, value, limit } => {
                write!(f, "{what} count {value} is not in 0..={limit}: the record is damaged")
            }
        }
    }
}

impl core::error::Error for ArgsError {}

/// The arguments of one run.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ChipStorageTaskArgs {
    /// The first `tensor_count` are arguments.
    pub tensors: [ContinuousTensor; CHIP_MAX_TENSOR_ARGS],
    /// The first `scalar_count` are arguments: bit patterns, zero-extended.
    pub scalars: [u64; CHIP_MAX_SCALAR_ARGS],
    /// Tensors in use, 0 to 64.
    pub tensor_count: i32,
    /// Scalars in use, 0 to 128.
    pub scalar_count: i32,
}

layout! {
    CHIP_STORAGE_TASK_ARGS: ChipStorageTaskArgs = "ChipStorageTaskArgs" on both,
    size 3592, align 8 {
        tensors as "tensors_" @ 0, scalars as "scalars_" @ 2560,
        tensor_count as "tensor_count_" @ 3584, scalar_count as "scalar_count_" @ 3588,
    }
}

impl Default for ChipStorageTaskArgs {
    fn default() -> Self {
        Self::new()
    }
}

impl ChipStorageTaskArgs {
    /// Returns a record without arguments; every byte is zero.
    pub fn new() -> Self {
        Self::new_zeroed()
    }

    /// Appends a tensor.
    ///
    /// # Errors
    ///
    /// [`ArgsError`] after a scalar, past 64 tensors, or where the record's counts are damaged.
    pub fn push_tensor(&mut self, tensor: ContinuousTensor) -> Result<(), ArgsError> {
        if !self.scalars()?.is_empty() {
            return Err(ArgsError::TensorAfterScalar);
        }
        let used = self.tensors()?.len();
        let limit = CHIP_MAX_TENSOR_ARGS;
        *self.tensors.get_mut(used).ok_or(ArgsError::Full { what: "tensor", limit })? = tensor;
        self.tensor_count += 1;
        Ok(())
    }

    /// Appends a scalar, as the zero-extended bit pattern of its type.
    ///
    /// # Errors
    ///
    /// [`ArgsError`] past 128 scalars, or where the record's counts are damaged.
    pub fn push_scalar(&mut self, bits: u64) -> Result<(), ArgsError> {
        let used = self.scalars()?.len();
        let limit = CHIP_MAX_SCALAR_ARGS;
        *self.scalars.get_mut(used).ok_or(ArgsError::Full { what: "scalar", limit })? = bits;
        self.scalar_count += 1;
        Ok(())
    }

    /// Returns the tensors in use.
    ///
    /// # Errors
    ///
    /// [`ArgsError::CountOutOfRange`] where the count is negative or above 64.
    pub fn tensors(&self) -> Result<&[ContinuousTensor], ArgsError> {
        in_use(&self.tensors, self.tensor_count, "tensor")
    }

    /// Returns the scalars in use.
    ///
    /// # Errors
    ///
    /// [`ArgsError::CountOutOfRange`] where the count is negative or above 128.
    pub fn scalars(&self) -> Result<&[u64], ArgsError> {
        in_use(&self.scalars, self.scalar_count, "scalar")
    }
}

/// Returns the first `count` of `slots`, with the count checked.
fn in_use<'a, T>(slots: &'a [T], count: i32, what: &'static str) -> Result<&'a [T], ArgsError> {
    usize::try_from(count)
        .ok()
        .and_then(|count| slots.get(..count))
        .ok_or(ArgsError::CountOutOfRange { what, value: count, limit: slots.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data: u64) -> ContinuousTensor {
        ContinuousTensor { data, ..Default::default() }
    }

    #[test]
    fn arguments_come_back_in_the_order_they_were_added() {
        let mut args = ChipStorageTaskArgs::new();
        args.push_tensor(tensor(0x10)).unwrap();
        args.push_tensor(tensor(0x20)).unwrap();
        args.push_scalar(7).unwrap();
        assert_eq!(args.tensors().unwrap(), [tensor(0x10), tensor(0x20)]);
        assert_eq!(args.scalars().unwrap(), [7]);
    }

    #[test]
    fn rejects_tensor_after_scalar() {
        let mut args = ChipStorageTaskArgs::new();
        args.push_scalar(1).unwrap();
        assert_eq!(args.push_tensor(tensor(0)), Err(ArgsError::TensorAfterScalar));
        assert_eq!(args.tensor_count, 0);
    }

    #[test]
    fn rejects_arguments_past_the_last_slot() {
        let mut args = ChipStorageTaskArgs::new();
        for _ in 0..64 {
            args.push_tensor(tensor(1)).unwrap();
        }
        let full = Err(ArgsError::Full { what: "tensor", limit: 64 });
        assert_eq!(args.push_tensor(tensor(2)), full);
        for _ in 0..128 {
            args.push_scalar(1).unwrap();
        }
        assert_eq!(args.push_scalar(2), Err(ArgsError::Full { what: "scalar", limit: 128 }));
        assert_eq!((args.tensor_count, args.scalar_count), (64, 128));
    }

    #[test]
    fn rejects_counts_that_do_not_fit_the_arrays() {
        for value in [-1, i32::MIN, 65, i32::MAX] {
            let mut args = ChipStorageTaskArgs { tensor_count: value, ..Default::default() };
            let error = ArgsError::CountOutOfRange { what: "tensor", value, limit: 64 };
            assert_eq!(args.tensors(), Err(error));
            assert_eq!(args.push_tensor(tensor(0)), Err(error));
        }
        let args = ChipStorageTaskArgs { scalar_count: 129, ..Default::default() };
        assert!(args.scalars().is_err());
    }

    #[test]
    fn unknown_tags_and_directions_are_rejected() {
        assert_eq!(ArgTag::try_from(4), Ok(ArgTag::NoDep));
        assert!(ArgTag::try_from(5).is_err());
        assert!(ArgTag::try_from(-1).is_err());
        assert_eq!(ArgDirection::try_from(3), Ok(ArgDirection::InOut));
        assert!(ArgDirection::try_from(4).is_err());
    }
}
