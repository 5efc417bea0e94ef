//! One number of any element type, as manifests write it and messages print it.
//!
//! Three modules need the same two conversions, number → bits and bits → number: the manifest
//! checks that a constant fits its type, the case data writes elements, the comparison reads them.
//! Whole numbers stay whole (`i128` holds every value of every integer type), so that a 64-bit
//! integer never passes through a float.

use std::fmt;

use protocol::DataType;

use crate::float16::{BFloat16, Float16};

/// A whole or a floating-point number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i128),
    /// A floating-point number, NaN and the infinities included.
    Float(f64),
}

impl Number {
    /// Returns the bit pattern of this number as a `dtype`, zero-extended to 64 bits.
    ///
    /// `None` if it does not fit: a fraction or a number out of range for an integer type, a
    /// finite number that would become infinite for a floating-point type. Rounding is to nearest,
    /// ties to even (for the 16-bit types by way of `f32`).
    #[must_use]
    pub fn bits(self, dtype: DataType) -> Option<u64> {
        match dtype {
            DataType::Float32 | DataType::Float16 | DataType::Bfloat16 => self.float_bits(dtype),
            _ => {
                let value = self.whole()?;
                let (low, high) = integer_range(dtype)?;
                // CAST: keeps the low 64 bits of a value whose type has at most 64.
                let bits = (value as u64) & element_mask(dtype);
                (low..=high).contains(&value).then_some(bits)
            }
        }
    }

    /// Reads the number that these zero-extended bits stand for.
    #[must_use]
    pub fn from_bits(dtype: DataType, bits: u64) -> Self {
        // CAST: each takes the low bits that make up an element of its type.
        match dtype {
            DataType::Float32 => Self::Float(f32::from_bits(bits as u32).into()),
            DataType::Float16 => Self::Float(Float16::from_bits(bits as u16).to_f32().into()),
            DataType::Bfloat16 => Self::Float(BFloat16::from_bits(bits as u16).to_f32().into()),
            DataType::Int8 => Self::Integer((bits as i8).into()),
            DataType::Int16 => Self::Integer((bits as i16).into()),
            DataType::Int32 => Self::Integer((bits as i32).into()),
            DataType::Int64 => Self::Integer((bits as i64).into()),
            DataType::Uint8 | DataType::Uint16 | DataType::Uint32 | DataType::Uint64 => {
                Self::Integer((bits & element_mask(dtype)).into())
            }
        }
    }

    /// The number as a float; whole numbers beyond 2^53 are rounded.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            // CAST: rounds, as documented.
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The number as a whole number, if it is one.
    pub(crate) fn whole(self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(value),
            // CAST: exact, because a float without fraction below 2^64 fits.
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 2f64.powi(64) => {
                Some(value as i128)
            }
            Self::Float(_) => None,
        }
    }

    /// The bits of a floating-point type.
    fn float_bits(self, dtype: DataType) -> Option<u64> {
        let value = self.as_f64();
        // CAST: rounds to nearest; an overflow to infinity is caught below.
        let single = value as f32;
        let (bits, rounded): (u64, f32) = match dtype {
            DataType::Float16 => {
                let half = Float16::from_f32(single);
                (half.to_bits().into(), half.to_f32())
            }
            DataType::Bfloat16 => {
                let brain = BFloat16::from_f32(single);
                (brain.to_bits().into(), brain.to_f32())
            }
            _ => (single.to_bits().into(), single),
        };
        (value.is_infinite() || !rounded.is_infinite()).then_some(bits)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}

/// Reads the elements of a little-endian array.
pub(crate) fn elements(dtype: DataType, bytes: &[u8]) -> impl Iterator<Item = Number> + '_ {
    bytes.chunks_exact(element_size(dtype)).map(move |element| {
        let mut wide = [0; 8];
        wide[..element.len()].copy_from_slice(element);
        Number::from_bits(dtype, u64::from_le_bytes(wide))
    })
}

/// Size of an element, in bytes, for slicing.
pub(crate) fn element_size(dtype: DataType) -> usize {
    usize::try_from(dtype.element_bytes()).expect("an element has at most 8 bytes")
}

/// Whether a type holds whole numbers only.
pub(crate) fn is_integer(dtype: DataType) -> bool {
    integer_range(dtype).is_some()
}

/// The least and the largest value of an integer type.
fn integer_range(dtype: DataType) -> Option<(i128, i128)> {
    let bits = 8 * dtype.element_bytes();
    match dtype {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
        }
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 | DataType::Uint64 => {
            Some((0, (1 << bits) - 1))
        }
        DataType::Float32 | DataType::Float16 | DataType::Bfloat16 => None,
    }
}

/// One bit for each bit of an element.
fn element_mask(dtype: DataType) -> u64 {
    u64::MAX >> (64 - 8 * dtype.element_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_fit_up_to_their_limits_and_no_further() {
        let check = |dtype: DataType, low: i128, high: i128| {
            for value in [low, high] {
                let bits = Number::Integer(value).bits(dtype).unwrap();
                assert_eq!(Number::from_bits(dtype, bits), Number::Integer(value), "{dtype:?}");
            }
            for value in [low - 1, high + 1] {
                assert_eq!(Number::Integer(value).bits(dtype), None, "{dtype:?} {value}");
            }
        };
        check(DataType::Int8, -128, 127);
        check(DataType::Uint8, 0, 255);
        check(DataType::Int16, -32768, 32767);
        check(DataType::Uint16, 0, 65535);
        check(DataType::Int32, -2_147_483_648, 2_147_483_647);
        check(DataType::Uint32, 0, 4_294_967_295);
        check(DataType::Int64, -9_223_372_036_854_775_808, 9_223_372_036_854_775_807);
        check(DataType::Uint64, 0, 18_446_744_073_709_551_615);
    }

    #[test]
    fn bit_patterns_are_zero_extended() {
        assert_eq!(Number::Integer(-1).bits(DataType::Int32), Some(0xFFFF_FFFF));
        assert_eq!(Number::Integer(-1).bits(DataType::Int8), Some(0xFF));
        assert_eq!(Number::Float(1.5).bits(DataType::Float32), Some(0x3FC0_0000));
        assert_eq!(Number::Integer(-2).bits(DataType::Float16), Some(0xC000));
        assert_eq!(Number::Float(1.0).bits(DataType::Bfloat16), Some(0x3F80));
    }

    #[test]
    fn a_fraction_fits_no_integer_type_but_a_whole_float_does() {
        assert_eq!(Number::Float(2.5).bits(DataType::Int32), None);
        assert_eq!(Number::Float(f64::NAN).bits(DataType::Int32), None);
        assert_eq!(Number::Float(f64::INFINITY).bits(DataType::Uint64), None);
        assert_eq!(Number::Float(2.0).bits(DataType::Int32), Some(2));
        assert_eq!(Number::Float(2f64.powi(64)).bits(DataType::Uint64), None);
    }

    #[test]
    fn a_finite_number_never_becomes_infinite() {
        assert_eq!(Number::Float(1e300).bits(DataType::Float32), None);
        assert_eq!(Number::Float(65504.0).bits(DataType::Float16), Some(0x7BFF));
        assert_eq!(Number::Float(65520.0).bits(DataType::Float16), None);
        assert_eq!(Number::Float(f64::INFINITY).bits(DataType::Float16), Some(0x7C00));
        assert_eq!(Number::Float(f64::NEG_INFINITY).bits(DataType::Float32), Some(0xFF80_0000));
    }

    #[test]
    fn reads_elements_in_order() {
        let bytes = [0xFF, 0xFF, 0x02, 0x00];
        let numbers: Vec<_> = elements(DataType::Int16, &bytes).collect();
        assert_eq!(numbers, [Number::Integer(-1), Number::Integer(2)]);
        let numbers: Vec<_> = elements(DataType::Uint32, &bytes).collect();
        assert_eq!(numbers, [Number::Integer(0x0002_FFFF)]);
    }

    #[test]
    fn prints_whole_numbers_plainly_and_floats_as_floats() {
        assert_eq!(Number::Integer(-3).to_string(), "-3");
        assert_eq!(Number::Float(2.0).to_string(), "2.0");
        assert_eq!(Number::Float(f64::NAN).to_string(), "NaN");
    }
}
