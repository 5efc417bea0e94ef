//! Makes the bytes that a case runs with and the bytes it should give.
//!
//! ```text
//! Case (manifest) ──load──▶ CaseData { tensors: initial + expected bytes, scalars: bit patterns }
//! ```
//!
//! Apart from the manifest, which describes and is cheap to read: this module does the reading of
//! large files and the generating. All generated numbers are the same on every machine.

use protocol::{ArgDirection, DataType};

use crate::manifest::{Case, DataSource, TensorSpec};
use crate::npy::{self, NpyError};

mod generate;
pub(crate) mod random;

pub use self::generate::ValueError;
pub(crate) use self::generate::check;

/// The arguments of one case, ready to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaseData {
    /// The tensors, in the order of the arguments.
    pub tensors: Vec<TensorValues>,
    /// The scalars that follow, as zero-extended bit patterns.
    pub scalars: Vec<u64>,
}

/// One tensor argument with its elements, little-endian and in C order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorValues {
    /// Its name in messages.
    pub name: String,
    /// Whether the callable reads or writes it.
    pub direction: ArgDirection,
    /// Its element type.
    pub dtype: DataType,
    /// Elements per dimension.
    pub shape: Vec<u32>,
    /// What it holds before the run.
    pub initial: Vec<u8>,
    /// What it should hold after the run, if the case says so.
    pub expected: Option<Vec<u8>>,
}

/// A tensor whose elements cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseDataError {
    /// Its file cannot be used.
    #[error("tensor `{tensor}`")]
    File {
        /// The tensor.
        tensor: String,
        /// What is wrong with the file.
        #[source]
        source: NpyError,
    },
    /// Its numbers do not fit its type.
    #[error("tensor `{tensor}`")]
    Value {
        /// The tensor.
        tensor: String,
        /// The number that does not fit.
        #[source]
        source: ValueError,
    },
}

impl CaseData {
    /// Reads and generates all arguments of a case.
    ///
    /// # Errors
    ///
    /// [`CaseDataError`] with the tensor, and the file or number that is wrong.
    pub fn load(case: &Case) -> Result<Self, CaseDataError> {
        let tensors = case.tensors.iter().map(TensorValues::load).collect::<Result<_, _>>()?;
        let scalars = case.scalars.iter().map(|scalar| scalar.bits).collect();
        Ok(Self { tensors, scalars })
    }
}

impl TensorValues {
    /// Reads or generates the elements of one tensor.
    fn load(spec: &TensorSpec) -> Result<Self, CaseDataError> {
        let initial = elements(spec, &spec.data)?;
        let expected = spec.expected.as_ref().map(|source| elements(spec, source)).transpose()?;
        Ok(Self {
            name: spec.name.clone(),
            direction: spec.direction,
            dtype: spec.dtype,
            shape: spec.shape.clone(),
            initial,
            expected,
        })
    }
}

/// Makes elements of the type and shape of `spec` from a source.
fn elements(spec: &TensorSpec, source: &DataSource) -> Result<Vec<u8>, CaseDataError> {
    if let DataSource::File(path) = source {
        let read = npy::read(path, spec.dtype, &spec.shape);
        return read.map_err(|source| CaseDataError::File { tensor: spec.name.clone(), source });
    }
    generate::generate(source, spec.dtype, &spec.shape)
        .map_err(|source| CaseDataError::Value { tensor: spec.name.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ScalarSpec;
    use crate::npy::NpyProblem;
    use crate::number::Number;

    fn case(data: DataSource, expected: Option<DataSource>) -> Case {
        let tensor = TensorSpec {
            name: "a".into(),
            direction: ArgDirection::InOut,
            dtype: DataType::Int16,
            shape: vec![2, 2],
            data,
            expected,
        };
        Case {
            name: "default".into(),
            platforms: Vec::new(),
            block_dim: None,
            aicpu_threads: None,
            relative_tolerance: None,
            absolute_tolerance: None,
            tensors: vec![tensor],
            scalars: vec![ScalarSpec { name: "n".into(), dtype: DataType::Int32, bits: 4 }],
        }
    }

    #[test]
    fn takes_elements_from_generators_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.npy");
        npy::write(&path, DataType::Int16, &[2, 2], &[1, 0, 2, 0, 3, 0, 4, 0]).unwrap();
        let ramp = DataSource::Ramp { start: Number::Integer(-1), step: Number::Integer(2) };
        let data = CaseData::load(&case(ramp, Some(DataSource::File(path)))).unwrap();
        let expected = TensorValues {
            name: "a".into(),
            direction: ArgDirection::InOut,
            dtype: DataType::Int16,
            shape: vec![2, 2],
            initial: vec![0xFF, 0xFF, 1, 0, 3, 0, 5, 0],
            expected: Some(vec![1, 0, 2, 0, 3, 0, 4, 0]),
        };
        assert_eq!(data, CaseData { tensors: vec![expected], scalars: vec![4] });
    }

    #[test]
    fn errors_name_the_tensor_and_keep_their_cause() {
        let file = DataSource::File("/nonexistent.npy".into());
        let error = CaseData::load(&case(file, None)).unwrap_err();
        let CaseDataError::File { tensor, source } = error else { panic!("{error}") };
        assert_eq!(tensor, "a");
        assert!(matches!(source.problem, NpyProblem::Read(_)));

        let constant = DataSource::Constant(Number::Integer(40_000));
        let error = CaseData::load(&case(constant, None)).unwrap_err();
        assert!(matches!(&error, CaseDataError::Value { tensor, .. } if tensor == "a"));
    }
}
