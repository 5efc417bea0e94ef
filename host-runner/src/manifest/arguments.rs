//! Checks the arguments that a manifest lists: tensors, their data, scalars.

use std::collections::HashSet;
use std::path::Path;

use protocol::{
    ArgDirection, CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS, DataType, MAX_TENSOR_DIMS,
};
use toml::Spanned;

use super::check::{Located, claim_name, file, word};
use super::raw::{RawData, RawRamp, RawRandom, RawScalar, RawTensor};
use super::{DataSource, ManifestProblem, ScalarSpec, TensorSpec};
use crate::case_data;
use crate::number::Number;

/// Checks a list of tensors.
pub(super) fn tensors(
    folder: &Path,
    raw: Vec<Spanned<RawTensor>>,
) -> Result<Vec<TensorSpec>, Located> {
    if let Some(first_too_many) = raw.get(CHIP_MAX_TENSOR_ARGS) {
        let problem = ManifestProblem::TooManyArguments { what: "tensor", have: raw.len() };
        return Err((problem, first_too_many.span()));
    }
    let mut taken = HashSet::new();
    raw.into_iter().map(|raw| tensor(folder, raw, &mut taken)).collect()
}

/// Checks a list of scalars.
pub(super) fn scalars(raw: Vec<Spanned<RawScalar>>) -> Result<Vec<ScalarSpec>, Located> {
    if let Some(first_too_many) = raw.get(CHIP_MAX_SCALAR_ARGS) {
        let problem = ManifestProblem::TooManyArguments { what: "scalar", have: raw.len() };
        return Err((problem, first_too_many.span()));
    }
    let mut taken = HashSet::new();
    let mut scalars = Vec::with_capacity(raw.len());
    for raw in raw {
        let RawScalar { name, dtype, value } = raw.into_inner();
        claim_name(&mut taken, "scalar", &name)?;
        let dtype = data_type(&dtype)?;
        let number = *value.get_ref();
        let bits = number.bits(dtype).ok_or_else(|| {
            let dtype = dtype.name().to_lowercase();
            (ManifestProblem::Scalar { value: number, dtype }, value.span())
        })?;
        scalars.push(ScalarSpec { name: name.into_inner(), dtype, bits });
    }
    Ok(scalars)
}

/// Checks one tensor.
fn tensor(
    folder: &Path,
    raw: Spanned<RawTensor>,
    taken: &mut HashSet<String>,
) -> Result<TensorSpec, Located> {
    let span = raw.span();
    let RawTensor { name, direction, dtype, shape, data, expected } = raw.into_inner();
    claim_name(taken, "tensor", &name)?;
    let words =
        [("in", ArgDirection::In), ("out", ArgDirection::Out), ("inout", ArgDirection::InOut)];
    let direction = word("direction", &direction, &words)?;
    let dtype = data_type(&dtype)?;
    let (shape_span, shape) = (shape.span(), counts(&shape)?);
    let data = match data {
        Some(data) => source(folder, data, dtype, &shape)?,
        None if direction == ArgDirection::Out => {
            let zeros = DataSource::Constant(Number::Integer(0));
            case_data::check(&zeros, dtype, &shape).map_err(|error| (error.into(), shape_span))?;
            zeros
        }
        None => return Err((ManifestProblem::NoData, span)),
    };
    let expected = match expected {
        Some(expected) if direction == ArgDirection::In => {
            return Err((ManifestProblem::ExpectedOnInput, expected.span()));
        }
        Some(expected) => Some(source(folder, expected, dtype, &shape)?),
        None => None,
    };
    Ok(TensorSpec { name: name.into_inner(), direction, dtype, shape, data, expected })
}

/// Checks a shape.
fn counts(shape: &Spanned<Vec<i64>>) -> Result<Vec<u32>, Located> {
    let found = shape.get_ref();
    let count = |count: &i64| u32::try_from(*count).ok().filter(|count| *count > 0);
    let counts: Option<Vec<u32>> = found.iter().map(count).collect();
    counts
        .filter(|counts| (1..=MAX_TENSOR_DIMS).contains(&counts.len()))
        .ok_or_else(|| (ManifestProblem::Shape(found.clone()), shape.span()))
}

/// Checks where elements come from, and that they fit.
fn source(
    folder: &Path,
    raw: Spanned<RawData>,
    dtype: DataType,
    shape: &[u32],
) -> Result<DataSource, Located> {
    let span = raw.span();
    let source = match raw.into_inner() {
        RawData::File(path) => DataSource::File(file(folder, &path, span.clone())?),
        RawData::Constant(value) => DataSource::Constant(value),
        RawData::Ramp(RawRamp { start, step }) => DataSource::Ramp { start, step },
        RawData::Random(RawRandom { seed, low, high }) => DataSource::Random { seed, low, high },
    };
    case_data::check(&source, dtype, shape).map_err(|error| (error.into(), span))?;
    Ok(source)
}

/// Finds an element type by its lower-case name.
fn data_type(name: &Spanned<String>) -> Result<DataType, Located> {
    let names: Vec<_> = DataType::ALL.iter().map(|dtype| dtype.name().to_lowercase()).collect();
    let words: Vec<_> =
        names.iter().map(String::as_str).zip(DataType::ALL.iter().copied()).collect();
    word("dtype", name, &words)
}
