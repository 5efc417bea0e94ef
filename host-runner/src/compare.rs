//! Compares the output of a run with what is expected, element by element.
//!
//! Two elements agree if `|got - expected| <= atol + rtol * |expected|`. NaN agrees with NaN only,
//! an infinity with the same infinity only. Integer differences are exact whatever the tolerance.

use std::fmt;

use protocol::DataType;

use crate::number::{Number, element_size, elements, is_integer};

/// How far an element may be from what is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Part that grows with the expected value.
    pub relative: f64,
    /// Fixed part.
    pub absolute: f64,
}

impl Tolerance {
    /// Nothing may differ.
    pub const EXACT: Self = Self { relative: 0.0, absolute: 0.0 };

    /// What holds where a case says nothing, for each part (spec trb §9.1).
    pub const DEFAULT_PART: f64 = 1e-5;

    /// The tolerance for elements of `dtype` where a case names these parts: floating-point types
    /// fall back to [`Tolerance::DEFAULT_PART`], integers to exact.
    #[must_use]
    pub fn for_type(dtype: DataType, relative: Option<f64>, absolute: Option<f64>) -> Self {
        let unsaid = if is_integer(dtype) { 0.0 } else { Self::DEFAULT_PART };
        Self { relative: relative.unwrap_or(unsaid), absolute: absolute.unwrap_or(unsaid) }
    }

    /// Whether two elements agree.
    fn accepts(self, got: Number, expected: Number) -> bool {
        let difference = difference(got, expected);
        if difference == 0.0 {
            return true;
        }
        // An infinite difference is never within bounds, even where an infinite bound would say so.
        difference.is_finite()
            && difference <= self.absolute + self.relative * expected.as_f64().abs()
    }
}

/// How an output differs from what is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Elements that differ by more than the tolerance.
    pub differing: usize,
    /// Elements in all.
    pub total: usize,
    /// Position of the first one that differs, an index per dimension.
    pub index: Vec<u32>,
    /// What the run gave there.
    pub got: Number,
    /// What it should be.
    pub expected: Number,
    /// The largest difference among the elements that differ; infinite where one of the two is NaN
    /// or infinite.
    pub largest_difference: f64,
    /// The tolerance that was applied.
    pub tolerance: Tolerance,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { differing, total, index, got, expected, largest_difference, tolerance } = self;
        let Tolerance { relative, absolute } = tolerance;
        write!(
            f,
            "{index:?} is {got}, expected {expected}; {differing} of {total} differ, the largest \
             difference is {largest_difference:?} (rtol {relative:?}, atol {absolute:?})"
        )
    }
}

/// Two arrays that cannot be compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "cannot compare {got} bytes of output with {expected} bytes: the shape needs {need} of each"
)]
pub struct LengthError {
    /// Bytes of the output.
    pub got: usize,
    /// Bytes of the expected array.
    pub expected: usize,
    /// Bytes of the shape.
    pub need: u64,
}

/// Compares two arrays of this type and shape; `None` if all elements agree.
///
/// # Errors
///
/// [`LengthError`] if the arrays are not of the shape's size.
pub fn compare(
    dtype: DataType,
    shape: &[u32],
    got: &[u8],
    expected: &[u8],
    tolerance: Tolerance,
) -> Result<Option<Mismatch>, LengthError> {
    let count = shape.iter().try_fold(1_u64, |count, next| count.checked_mul((*next).into()));
    let need = count.and_then(|count| count.checked_mul(dtype.element_bytes())).unwrap_or(u64::MAX);
    if got.len() as u64 != need || expected.len() as u64 != need {
        return Err(LengthError { got: got.len(), expected: expected.len(), need });
    }
    // Equal bytes are equal elements, NaN included; this is the case of nearly every run.
    if got == expected {
        return Ok(None);
    }
    let mut mismatch: Option<Mismatch> = None;
    for (position, (got, expected)) in
        elements(dtype, got).zip(elements(dtype, expected)).enumerate()
    {
        if tolerance.accepts(got, expected) {
            continue;
        }
        let difference = difference(got, expected);
        let found = mismatch.get_or_insert_with(|| Mismatch {
            differing: 0,
            total: 0,
            index: index_of(position, shape),
            got,
            expected,
            largest_difference: 0.0,
            tolerance,
        });
        found.differing += 1;
        found.largest_difference = found.largest_difference.max(difference);
    }
    if let Some(found) = &mut mismatch {
        found.total = expected.len() / element_size(dtype);
    }
    Ok(mismatch)
}

/// The distance of two numbers: zero if they are the same or both NaN, infinite if only one is NaN
/// or infinite.
fn difference(got: Number, expected: Number) -> f64 {
    match (got, expected) {
        // CAST: rounds the exact difference, never to zero.
        (Number::Integer(got), Number::Integer(expected)) => got.abs_diff(expected) as f64,
        _ => {
            let (got, expected) = (got.as_f64(), expected.as_f64());
            if got == expected || (got.is_nan() && expected.is_nan()) {
                return 0.0;
            }
            let distance = (got - expected).abs();
            if distance.is_nan() { f64::INFINITY } else { distance }
        }
    }
}

/// Turns a position in C order into an index per dimension.
fn index_of(mut position: usize, shape: &[u32]) -> Vec<u32> {
    let mut index = vec![0; shape.len()];
    for (place, count) in index.iter_mut().zip(shape).rev() {
        // CAST: a remainder of a u32 count is below it; counts are not zero where elements exist.
        let count = *count as usize;
        *place = (position % count) as u32;
        position /= count;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn compare_floats(got: &[f32], expected: &[f32], tolerance: Tolerance) -> Option<Mismatch> {
        let shape = [u32::try_from(got.len()).unwrap()];
        compare(DataType::Float32, &shape, &floats(got), &floats(expected), tolerance).unwrap()
    }

    #[test]
    fn names_the_first_element_how_many_differ_and_the_largest_difference() {
        let expected = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let got = floats(&[0.0, 1.0, 2.0, 3.0, 4.5, 7.0]);
        let found =
            compare(DataType::Float32, &[1, 2, 3], &got, &expected, Tolerance::EXACT).unwrap();
        let mismatch = Mismatch {
            differing: 2,
            total: 6,
            index: vec![0, 1, 1],
            got: Number::Float(4.5),
            expected: Number::Float(4.0),
            largest_difference: 2.0,
            tolerance: Tolerance::EXACT,
        };
        let text = "[0, 1, 1] is 4.5, expected 4.0; 2 of 6 differ, the largest difference is 2.0 \
                    (rtol 0.0, atol 0.0)";
        assert_eq!(mismatch.to_string(), text);
        assert_eq!(found, Some(mismatch));
    }

    #[test]
    fn the_bound_grows_with_the_expected_value_and_includes_its_end() {
        let tolerance = Tolerance { relative: 0.25, absolute: 1.0 };
        assert_eq!(
            compare_floats(&[10.0], &[8.0], Tolerance { relative: 0.25, absolute: 0.0 }),
            None
        );
        assert_eq!(compare_floats(&[11.0, -11.0, 1.0], &[8.0, -8.0, 0.0], tolerance), None);
        assert!(compare_floats(&[11.01], &[8.0], tolerance).is_some());
        assert!(compare_floats(&[1.01], &[0.0], tolerance).is_some());
    }

    #[test]
    fn nan_agrees_with_nan_only() {
        let wide = Tolerance { relative: 1.0, absolute: 1e30 };
        let other_nan = f32::from_bits(0x7FC0_0001);
        assert_eq!(compare_floats(&[f32::NAN, 1.0], &[other_nan, 1.0], wide), None);
        let found = compare_floats(&[1.0, f32::NAN], &[f32::NAN, 1.0], wide).unwrap();
        assert_eq!((found.differing, found.largest_difference), (2, f64::INFINITY));
    }

    #[test]
    fn an_infinity_agrees_with_the_same_infinity_only() {
        let wide = Tolerance { relative: 1.0, absolute: 1e30 };
        let infinity = f32::INFINITY;
        assert_eq!(compare_floats(&[infinity, 0.0], &[infinity, -0.0], wide), None);
        for got in [-infinity, 0.0, f32::MAX, f32::NAN] {
            assert!(compare_floats(&[got], &[infinity], wide).is_some(), "{got}");
        }
        assert!(compare_floats(&[infinity], &[1.0], wide).is_some());
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let bytes = |value: i64| value.to_le_bytes();
        let far = 1_i64 << 60;
        let check = |got: i64, expected: i64, tolerance: Tolerance| {
            compare(DataType::Int64, &[1], &bytes(got), &bytes(expected), tolerance).unwrap()
        };
        assert!(check(far + 1, far, Tolerance::EXACT).is_some());
        assert_eq!(check(far + 1, far, Tolerance { relative: 0.0, absolute: 1.0 }), None);
        let found = check(i64::MIN, i64::MAX, Tolerance::EXACT).unwrap();
        assert_eq!(found.largest_difference, 2f64.powi(64));
        assert_eq!(found.got, Number::Integer(i64::MIN.into()));
    }

    #[test]
    fn sixteen_bit_floats_are_compared_by_value() {
        let step = Tolerance { relative: 0.0, absolute: 0.001 };
        let check = |dtype: DataType, got: u16, expected: u16| {
            compare(dtype, &[1], &got.to_le_bytes(), &expected.to_le_bytes(), step).unwrap()
        };
        assert_eq!(check(DataType::Float16, 0x3C01, 0x3C00), None);
        assert_eq!(check(DataType::Float16, 0x8000, 0x0000), None);
        let found = check(DataType::Bfloat16, 0x3F81, 0x3F80).unwrap();
        assert_eq!(found.largest_difference, 0.007_812_5);
    }

    #[test]
    fn integers_are_exact_and_floats_are_not_unless_the_case_says_so() {
        let part = Tolerance::DEFAULT_PART;
        let check = Tolerance::for_type;
        assert_eq!(check(DataType::Int32, None, None), Tolerance::EXACT);
        let both = Tolerance { relative: part, absolute: part };
        assert_eq!(check(DataType::Bfloat16, None, None), both);
        let said = Tolerance { relative: 0.5, absolute: 0.0 };
        assert_eq!(check(DataType::Int32, Some(0.5), None), said);
        assert_eq!(check(DataType::Float32, Some(0.5), Some(0.0)), said);
    }

    #[test]
    fn arrays_of_another_size_are_refused() {
        let error = compare(DataType::Int8, &[2, 2], &[0; 4], &[0; 3], Tolerance::EXACT);
        assert_eq!(error, Err(LengthError { got: 4, expected: 3, need: 4 }));
        let huge = [u32::MAX; 5];
        assert!(compare(DataType::Int64, &huge, &[], &[], Tolerance::EXACT).is_err());
    }
}
