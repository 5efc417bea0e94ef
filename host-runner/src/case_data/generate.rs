//! Generates elements: constants, ramps and random numbers.
//!
//! [`check`] proves beforehand that every element will fit its type. The manifest calls it with
//! the position of the value at hand; [`generate`] calls it again, since specifications may also
//! be built by hand.

use protocol::DataType;

use super::random::SplitMix64;
use crate::manifest::DataSource;
use crate::number::{Number, element_size, is_integer};

/// Numbers that do not make a tensor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A number that its type cannot hold.
    #[error("{what} {value} does not fit {dtype}; choose another number or a wider dtype")]
    DoesNotFit {
        /// Which number.
        what: &'static str,
        /// The number.
        value: Number,
        /// The type, in lower case.
        dtype: String,
    },
    /// A random range that holds nothing, or is not finite.
    #[error("the random range from {low} to {high} is empty; use finite numbers with low <= high")]
    Range {
        /// The lower bound.
        low: Number,
        /// The upper bound.
        high: Number,
    },
    /// More bytes than memory can hold.
    #[error("a tensor of shape {shape:?} does not fit in memory; make it smaller")]
    TooLarge {
        /// Elements per dimension.
        shape: Vec<u32>,
    },
}

/// Checks that a source can fill a tensor of this type and shape; files are not looked at.
pub(crate) fn check(source: &DataSource, dtype: DataType, shape: &[u32]) -> Result<(), ValueError> {
    let count = element_count(dtype, shape)?;
    match *source {
        DataSource::File(_) => Ok(()),
        DataSource::Constant(value) => fit("the constant", value, dtype).map(drop),
        DataSource::Ramp { start, step } => {
            if is_integer(dtype) && step.whole().is_none() {
                return Err(does_not_fit("the step", step, dtype));
            }
            // A ramp is monotonic, so its ends speak for all of it.
            fit("the start of the ramp", start, dtype)?;
            let last = ramp_element(start, step, dtype, count.saturating_sub(1));
            let last = last.ok_or_else(|| does_not_fit("the step", step, dtype))?;
            fit("the end of the ramp", last, dtype).map(drop)
        }
        DataSource::Random { low, high, .. } => {
            fit("the lower bound", low, dtype)?;
            fit("the upper bound", high, dtype)?;
            let is_ordered = match (low.whole(), high.whole()) {
                (Some(low), Some(high)) => low <= high,
                _ => low.as_f64() <= high.as_f64(),
            };
            let is_finite = low.as_f64().is_finite() && high.as_f64().is_finite();
            if is_ordered && is_finite { Ok(()) } else { Err(ValueError::Range { low, high }) }
        }
    }
}

/// Makes the elements of a tensor; a file source gives none.
pub(super) fn generate(
    source: &DataSource,
    dtype: DataType,
    shape: &[u32],
) -> Result<Vec<u8>, ValueError> {
    check(source, dtype, shape)?;
    let count = element_count(dtype, shape)?;
    match *source {
        DataSource::File(_) => Ok(Vec::new()),
        DataSource::Constant(value) => fill(dtype, shape, |_| Some(value)),
        DataSource::Ramp { start, step } => {
            fill(dtype, shape, |index| ramp_element(start, step, dtype, index.min(count)))
        }
        DataSource::Random { seed, low, high } => {
            let mut generator = SplitMix64::new(seed);
            if is_integer(dtype) {
                let bounds = low.whole().zip(high.whole());
                return fill(dtype, shape, |_| {
                    let (low, high) = bounds?;
                    Some(Number::Integer(generator.next_integer(low, high)))
                });
            }
            let (low, high) = (low.as_f64(), high.as_f64());
            fill(dtype, shape, |_| Some(Number::Float(generator.next_float(low, high))))
        }
    }
}

/// Writes the elements that `element` gives for 0, 1, 2, …
fn fill(
    dtype: DataType,
    shape: &[u32],
    mut element: impl FnMut(u64) -> Option<Number>,
) -> Result<Vec<u8>, ValueError> {
    let too_large = || ValueError::TooLarge { shape: shape.to_vec() };
    let count = element_count(dtype, shape)?;
    let size = element_size(dtype);
    let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length.ok_or_else(too_large)?).map_err(|_| too_large())?;
    for index in 0..count {
        let number = element(index).unwrap_or(Number::Integer(0));
        let bits = fit("an element", number, dtype)?;
        bytes.extend_from_slice(&bits.to_le_bytes()[..size]);
    }
    Ok(bytes)
}

/// Element `index` of a ramp; `None` if it leaves the whole numbers.
fn ramp_element(start: Number, step: Number, dtype: DataType, index: u64) -> Option<Number> {
    if is_integer(dtype) {
        let way = step.whole()?.checked_mul(index.into())?;
        return Some(Number::Integer(start.whole()?.checked_add(way)?));
    }
    // CAST: an index beyond 2^53 is rounded, as the sum would be.
    Some(Number::Float(start.as_f64() + step.as_f64() * index as f64))
}

/// The bits of a number, or why there are none.
fn fit(what: &'static str, value: Number, dtype: DataType) -> Result<u64, ValueError> {
    value.bits(dtype).ok_or_else(|| does_not_fit(what, value, dtype))
}

/// Makes the error of a number that its type cannot hold.
fn does_not_fit(what: &'static str, value: Number, dtype: DataType) -> ValueError {
    ValueError::DoesNotFit { what, value, dtype: dtype.name().to_lowercase() }
}

/// The elements of a shape, if their bytes can be counted.
fn element_count(dtype: DataType, shape: &[u32]) -> Result<u64, ValueError> {
    let count = shape.iter().try_fold(1_u64, |count, next| count.checked_mul((*next).into()));
    let fits = |count: &u64| {
        count.checked_mul(dtype.element_bytes()).is_some_and(|bytes| bytes <= i64::MAX as u64)
    };
    count.filter(fits).ok_or_else(|| ValueError::TooLarge { shape: shape.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::elements;

    const SHAPE: [u32; 2] = [2, 2];

    fn numbers(source: &DataSource, dtype: DataType) -> Result<Vec<f64>, ValueError> {
        let bytes = generate(source, dtype, &SHAPE)?;
        Ok(elements(dtype, &bytes).map(Number::as_f64).collect())
    }

    fn ramp(start: f64, step: f64) -> DataSource {
        DataSource::Ramp { start: Number::Float(start), step: Number::Float(step) }
    }

    #[test]
    fn constants_and_ramps_fill_every_element() {
        let constant = DataSource::Constant(Number::Float(2.5));
        assert_eq!(numbers(&constant, DataType::Float16).unwrap(), [2.5; 4]);
        assert_eq!(numbers(&ramp(1.0, -0.5), DataType::Float32).unwrap(), [1.0, 0.5, 0.0, -0.5]);
        assert_eq!(numbers(&ramp(3.0, -1.0), DataType::Uint8).unwrap(), [3.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn large_integer_ramps_are_exact() {
        let start = Number::Integer(i128::from(u64::MAX) - 3);
        let source = DataSource::Ramp { start, step: Number::Integer(1) };
        let bytes = generate(&source, DataType::Uint64, &SHAPE).unwrap();
        assert_eq!(bytes[..8], (u64::MAX - 3).to_le_bytes());
        assert_eq!(bytes[24..], u64::MAX.to_le_bytes());
    }

    #[test]
    fn random_numbers_are_those_of_the_definition() {
        // Computed from the published sequence of seed 1234567 by the formulas of `random`.
        let (low, high) = (Number::Integer(-10), Number::Integer(10));
        let source = DataSource::Random { seed: 1_234_567, low, high };
        assert_eq!(numbers(&source, DataType::Int8).unwrap(), [-3.0, -7.0, 1.0, -5.0]);
        let (low, high) = (Number::Float(0.0), Number::Float(1.0));
        let source = DataSource::Random { seed: 1_234_567, low, high };
        let floats = numbers(&source, DataType::Float32).unwrap();
        let expected = [0.350_079_54, 0.173_644_1, 0.532_207_3, 0.249_007_66];
        for (got, expected) in floats.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{floats:?}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_named() {
        let check = |source: &DataSource, dtype: DataType, text: &str| {
            let error = super::check(source, dtype, &SHAPE).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error:?} should start with {text:?}");
            assert!(generate(source, dtype, &SHAPE).is_err());
        };
        let constant = |value| DataSource::Constant(Number::Float(value));
        check(&constant(2.5), DataType::Int32, "the constant 2.5 does not fit int32");
        check(&constant(70000.0), DataType::Float16, "the constant 70000.0 does not fit float16");
        check(&ramp(-1.0, 1.0), DataType::Uint8, "the start of the ramp -1.0 does not fit uint8");
        check(&ramp(250.0, 2.0), DataType::Uint8, "the end of the ramp 256 does not fit uint8");
        check(&ramp(0.0, 0.5), DataType::Int8, "the step 0.5 does not fit int8");
        let random = |low, high| DataSource::Random { seed: 1, low, high };
        let (one, two) = (Number::Integer(1), Number::Integer(2));
        check(&random(two, one), DataType::Int8, "the random range from 2 to 1 is empty");
        check(&random(one, Number::Integer(128)), DataType::Int8, "the upper bound 128");
        let infinite = Number::Float(f64::INFINITY);
        check(&random(one, infinite), DataType::Float32, "the random range from 1 to inf");
    }

    #[test]
    fn a_shape_beyond_memory_is_an_error_not_an_abort() {
        let constant = DataSource::Constant(Number::Integer(0));
        for shape in [&[u32::MAX; 5][..], &[u32::MAX, u32::MAX, 1]] {
            let error = generate(&constant, DataType::Int8, shape).unwrap_err();
            assert_eq!(error, ValueError::TooLarge { shape: shape.to_vec() });
        }
    }
}
