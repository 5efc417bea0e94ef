//! What a case passes to its callable, and what the tensors must hold afterwards.
//!
//! The expected elements are computed by the scene in Rust, by other means than the kernels: closed
//! forms, whole matrices in `f64`, plain loops over the definition.

use host_runner::arguments::{Arguments, ArgumentsError, Element, TensorArgument, TensorData};
use host_runner::compare::{Tolerance, compare};
use protocol::DataType;
use zerocopy::IntoBytes as _;

/// What outputs hold before a run: a byte that makes odd numbers of every type.
const UNWRITTEN: u8 = 0xA5;

/// What the callable does with a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Reads it.
    In,
    /// Fills it.
    Out,
    /// Reads and changes it.
    InOut,
}

/// One tensor of a case.
#[derive(Debug, Clone)]
pub struct CaseTensor {
    /// Its name in messages.
    pub name: &'static str,
    /// What the callable does with it.
    pub direction: Direction,
    /// Its element type.
    pub dtype: DataType,
    /// Elements per dimension.
    pub shape: Vec<u32>,
    /// What it holds before a run.
    pub initial: Vec<u8>,
    /// What it must hold after a run that succeeds.
    pub expected: Vec<u8>,
    /// How far elements may be off.
    pub tolerance: Tolerance,
}

/// The arguments of a case: tensors, then scalars.
#[derive(Debug, Clone, Default)]
pub struct CaseArguments {
    tensors: Vec<CaseTensor>,
    scalars: Vec<u64>,
}

impl CaseArguments {
    /// Starts without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor that the callable reads.
    #[must_use]
    pub fn input<T: Element>(self, name: &'static str, elements: &[T], shape: &[u32]) -> Self {
        self.tensor::<T>(name, Direction::In, shape, elements.as_bytes(), elements.as_bytes())
    }

    /// Adds a tensor that the callable fills with `expected`.
    #[must_use]
    pub fn output<T: Element>(self, name: &'static str, expected: &[T], shape: &[u32]) -> Self {
        let initial = vec![UNWRITTEN; size_of_val(expected)];
        self.tensor::<T>(name, Direction::Out, shape, &initial, expected.as_bytes())
    }

    /// Adds a tensor that the callable turns from `initial` into `expected`.
    #[must_use]
    pub fn inout<T: Element>(
        self,
        name: &'static str,
        initial: &[T],
        expected: &[T],
        shape: &[u32],
    ) -> Self {
        let (initial, expected) = (initial.as_bytes(), expected.as_bytes());
        self.tensor::<T>(name, Direction::InOut, shape, initial, expected)
    }

    /// Allows the elements of the last tensor to be this far off; without it, whole numbers must be
    /// equal and others may differ by 1e-5 in either part (spec trb §9.1).
    #[must_use]
    pub fn within(mut self, relative: f64, absolute: f64) -> Self {
        if let Some(tensor) = self.tensors.last_mut() {
            tensor.tolerance = Tolerance { relative, absolute };
        }
        self
    }

    /// Requires the elements of the last tensor to be equal.
    #[must_use]
    pub fn exactly(self) -> Self {
        self.within(0.0, 0.0)
    }

    /// Adds a scalar: the bits of its element type, zero-extended.
    #[must_use]
    pub fn scalar<T: Element>(mut self, value: T) -> Self {
        let mut wide = [0; 8];
        wide[..size_of::<T>()].copy_from_slice(value.as_bytes());
        self.scalars.push(u64::from_le_bytes(wide));
        self
    }

    fn tensor<T: Element>(
        mut self,
        name: &'static str,
        direction: Direction,
        shape: &[u32],
        initial: &[u8],
        expected: &[u8],
    ) -> Self {
        self.tensors.push(CaseTensor {
            name,
            direction,
            dtype: T::DTYPE,
            shape: shape.to_vec(),
            initial: initial.to_vec(),
            expected: expected.to_vec(),
            tolerance: Tolerance::for_type(T::DTYPE, None, None),
        });
        self
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.initial.len() as u64).sum()
    }

    /// Memory for one run, as it is before it.
    #[must_use]
    pub fn buffers(&self) -> Vec<Vec<u8>> {
        self.tensors.iter().map(|tensor| tensor.initial.clone()).collect()
    }

    /// The arguments of one run in this memory.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`] where the case is not one that can be passed.
    pub fn borrow<'a>(&self, buffers: &'a mut [Vec<u8>]) -> Result<Arguments<'a>, ArgumentsError> {
        let mut arguments = Arguments::new();
        for (tensor, bytes) in self.tensors.iter().zip(buffers) {
            let data = match tensor.direction {
                Direction::In => TensorData::In(bytes),
                Direction::Out => TensorData::Out(bytes),
                Direction::InOut => TensorData::InOut(bytes),
            };
            let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
            arguments.push_tensor(TensorArgument { data, dtype, shape })?;
        }
        for scalar in &self.scalars {
            arguments.push_scalar(*scalar)?;
        }
        Ok(arguments)
    }

    /// Compares the memory of a run that succeeded with what it must hold.
    ///
    /// # Errors
    ///
    /// The first tensor that differs: its name, index, what it is and what it should be.
    pub fn check(&self, buffers: &[Vec<u8>]) -> Result<(), String> {
        for (tensor, got) in self.tensors.iter().zip(buffers) {
            let CaseTensor { name, dtype, shape, expected, tolerance, .. } = tensor;
            match compare(*dtype, shape, got, expected, *tolerance) {
                Ok(None) => {}
                Ok(Some(mismatch)) => return Err(format!("{name}{mismatch}")),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    /// Checks that a run that failed left the caller's memory as it was.
    ///
    /// # Errors
    ///
    /// The name of a tensor that changed.
    pub fn check_untouched(&self, buffers: &[Vec<u8>]) -> Result<(), String> {
        match self.tensors.iter().zip(buffers).find(|(tensor, got)| tensor.initial != **got) {
            Some((tensor, _)) => Err(format!("{} changed though the run failed", tensor.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_element_is_named_with_both_numbers() {
        let arguments = CaseArguments::new().output("out", &[1.0_f32, 2.0, 3.0, 4.0], &[2, 2]);
        let mut buffers = arguments.buffers();
        assert!(arguments.check(&buffers).is_err(), "an output that nobody wrote is wrong");
        assert_eq!(arguments.check_untouched(&buffers), Ok(()));
        buffers[0].copy_from_slice([1.0_f32, 2.0, 3.5, 4.0].as_bytes());
        let text = arguments.check(&buffers).unwrap_err();
        assert!(text.starts_with("out[1, 0] is 3.5, expected 3.0"), "{text}");
        assert!(arguments.check_untouched(&buffers).unwrap_err().contains("out changed"));
        buffers[0].copy_from_slice([1.0_f32, 2.0, 3.00001, 4.0].as_bytes());
        assert_eq!(arguments.check(&buffers), Ok(()));
        assert!(arguments.clone().exactly().check(&buffers).is_err());
    }
}
