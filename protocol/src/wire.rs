//! What every parser of received bytes shares: the error, and reads that cannot leave the slice.
//!
//! Parsers here take any bytes at any alignment. They copy numbers out and borrow the rest, so
//! that a view costs no memory and no later access can fail.

use crate::ids::{FuncId, IdOutOfRange};
use crate::tensor::TensorError;
use crate::wire_enum::UnknownValue;
use core::fmt;
use zerocopy::FromBytes;

/// Why received bytes are not what they should be. Offsets and sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end too early.
    Truncated {
        /// The part that is cut off.
        what: &'static str,
        /// Bytes that it needs, counted from the start.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// The bytes go on after the last part.
    TrailingBytes {
        /// Bytes that the parts cover.
        used: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// A count or length is negative or too large.
    CountOutOfRange {
        /// Which one.
        what: &'static str,
        /// Its value.
        value: i64,
        /// Largest valid value.
        limit: usize,
    },
    /// A part lies outside the area that must hold it.
    OffsetOutOfRange {
        /// Which part.
        what: &'static str,
        /// Its offset in the area.
        offset: usize,
        /// Its size.
        bytes: usize,
        /// Size of the area.
        limit: usize,
    },
    /// A part does not start where the format lets it.
    Misaligned {
        /// Which part.
        what: &'static str,
        /// Its offset.
        offset: usize,
        /// The offset must be a multiple of this.
        align: usize,
    },
    /// A part starts before the previous one ends.
    Overlap {
        /// Which part.
        what: &'static str,
        /// Its offset.
        offset: usize,
        /// End of the previous part.
        previous_end: usize,
    },
    /// A part that must have content has none.
    Empty {
        /// Which part.
        what: &'static str,
    },
    /// An id names no entry of its table.
    IdOutOfRange(IdOutOfRange),
    /// Two kernels of one callable have the same func id.
    DuplicateFuncId {
        /// The func id.
        func_id: FuncId,
    },
    /// A number names no variant of its enumeration.
    UnknownValue(UnknownValue),
    /// A name is not followed by a NUL.
    NameNotTerminated {
        /// Which name.
        what: &'static str,
    },
    /// A name has a NUL before its stated length.
    NameHoldsNul {
        /// Which name.
        what: &'static str,
        /// Position of the NUL.
        at: usize,
    },
    /// A name is not UTF-8.
    NameNotUtf8 {
        /// Which name.
        what: &'static str,
        /// Bytes before the first bad one.
        valid_bytes: usize,
    },
    /// A tensor record makes no sense.
    Tensor {
        /// Position among the tensors.
        index: usize,
        /// Why.
        error: TensorError,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { what, need, have } => {
                write!(f, "{what} needs {need} bytes, but there are {have}: pass all of them")
            }
            Self::TrailingBytes { used, have } => write!(
                f,
                "{have} bytes, of which the last part ends at {used}: pass exactly one record"
            ),
            Self::CountOutOfRange { what, value, limit } => {
                write!(f, "{what} is {value}: must be 0 to {limit}")
            }
            Self::OffsetOutOfRange { what, offset, bytes, limit } => write!(
                f,
                "{what} at {offset} with {bytes} bytes leaves its area of {limit} bytes: the \
                 record is truncated or damaged"
            ),
            Self::Misaligned { what, offset, align } => {
                write!(f, "{what} at {offset} is not at a multiple of {align}: rebuild the record")
            }
            Self::Overlap { what, offset, previous_end } => write!(
                f,
                "{what} at {offset} starts before {previous_end}, where the previous part ends: \
                 rebuild the record"
            ),
            Self::Empty { what } => write!(f, "{what} is empty: supply its content"),
            Self::IdOutOfRange(error) => error.fmt(f),
            Self::DuplicateFuncId { func_id } => {
                write!(f, "func id {func_id} is given to two kernels: give each its own")
            }
            Self::UnknownValue(error) => error.fmt(f),
            Self::NameNotTerminated { what } => {
                write!(f, "{what} is not NUL-terminated: shorten it or rebuild the record")
            }
            Self::NameHoldsNul { what, at } => {
                write!(f, "{what} holds a NUL at {at}, before its end: remove it")
            }
            Self::NameNotUtf8 { what, valid_bytes } => {
                write!(f, "{what} is not UTF-8 after {valid_bytes} bytes: use a plain symbol name")
            }
            Self::Tensor { index, error } => write!(f, "tensor {index}: {error}"),
        }
    }
}

impl core::error::Error for WireError {}

impl From<IdOutOfRange> for WireError {
    fn from(error: IdOutOfRange) -> Self {
        Self::IdOutOfRange(error)
    }
}

impl From<UnknownValue> for WireError {
    fn from(error: UnknownValue) -> Self {
        Self::UnknownValue(error)
    }
}

/// Copies a number or record out of `bytes`, at any alignment.
pub(crate) fn read<T: FromBytes>(
    bytes: &[u8],
    offset: usize,
    what: &'static str,
) -> Result<T, WireError> {
    let (_, rest) = bytes.split_at_checked(offset).unwrap_or((bytes, &[]));
    match T::read_from_prefix(rest) {
        Ok((value, _)) => Ok(value),
        Err(_) => {
            let need = offset.saturating_add(size_of::<T>());
            Err(WireError::Truncated { what, need, have: bytes.len() })
        }
    }
}

/// Borrows `len` bytes of `area` at `offset`.
pub(crate) fn slice<'a>(
    area: &'a [u8],
    offset: usize,
    len: usize,
    what: &'static str,
) -> Result<&'a [u8], WireError> {
    let outside = WireError::OffsetOutOfRange { what, offset, bytes: len, limit: area.len() };
    let end = offset.checked_add(len).ok_or(outside)?;
    area.get(offset..end).ok_or(outside)
}

/// Checks a signed count.
pub(crate) fn count(value: i32, limit: usize, what: &'static str) -> Result<usize, WireError> {
    usize::try_from(value).ok().filter(|&count| count <= limit).ok_or(WireError::CountOutOfRange {
        what,
        value: i64::from(value),
        limit,
    })
}

/// Widens a 32-bit size or offset of a record.
pub(crate) const fn widen(value: u32) -> usize {
    const { assert!(size_of::<usize>() >= size_of::<u32>()) };
    // CAST: lossless by the assertion.
    value as usize
}
