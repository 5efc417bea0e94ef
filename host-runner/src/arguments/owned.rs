//! Arguments that own their memory: for runs that the caller does not wait for.
//!
//! ```
//! use host_runner::arguments::OwnedArguments;
//!
//! let mut arguments = OwnedArguments::new();
//! arguments.push_input(&[1.0f32; 6], &[2, 3])?;
//! arguments.push_output::<f32>(&[2, 3])?;
//! arguments.push_scalar_value(6i32)?;
//! assert_eq!(arguments.elements::<f32>(1), Some(vec![0.0; 6]));
//! # Ok::<(), host_runner::arguments::ArgumentsError>(())
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use protocol::{ArgDirection, ChipStorageTaskArgs, DataType, DeviceAddr};
use zerocopy::IntoBytes as _;

use super::snapshot::{Held, Packed, Spares};
use super::{
    ArgumentsError, Element, Place, TensorSet, check_shape, clear_record, pack_scalar, pack_tensor,
    scalar_bits, show, tensor_bytes,
};

/// Where a tensor is, and what the callable does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedData {
    /// Host memory that the callable reads. Runs share it.
    In(Arc<[u8]>),
    /// Host memory that the callable fills; as [`TensorData::Out`](super::TensorData::Out).
    Out(Vec<u8>),
    /// Host memory that the callable reads and changes.
    InOut(Vec<u8>),
    /// Host memory that the callable uses as its signature declares; as
    /// [`TensorData::Declared`](super::TensorData::Declared).
    Declared(Vec<u8>),
    /// Device memory, passed through as it is.
    Device(DeviceAddr),
}

/// The arguments of a run, with their memory, in the order in which the callable sees them.
///
/// A clone shares what is only read. What counts in a comparison is what is passed.
#[derive(Default)]
pub struct OwnedArguments {
    packed: Held,
    outputs: Vec<(usize, Range<usize>)>,
}

impl OwnedArguments {
    /// Starts without arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy for one run, in the memory of copies that are over, where there are some.
    pub(crate) fn snapshot(&self, spares: &Arc<Spares>) -> Self {
        Self { packed: self.packed.snapshot(spares), outputs: Vec::new() }
    }

    /// Adds a tensor.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`] after a scalar, beyond 64 tensors, or if shape and buffer disagree.
    pub fn push_tensor(
        &mut self,
        data: OwnedData,
        dtype: DataType,
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        let device = match &data {
            OwnedData::Device(address) => Some(*address),
            _ => None,
        };
        let bytes = data.host_bytes().map(<[u8]>::len);
        pack_tensor(&mut self.packed.record, dtype, shape, bytes, device)?;
        self.packed.data.push(data);
        Ok(())
    }

    /// Adds a tensor that the callable reads; copies the elements.
    ///
    /// # Errors
    ///
    /// As [`push_tensor`](Self::push_tensor).
    pub fn push_input<T: Element>(
        &mut self,
        elements: &[T],
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_tensor(OwnedData::In(elements.as_bytes().into()), T::DTYPE, shape)
    }

    /// Adds a tensor that the callable fills, in memory of its own that is zero until then.
    ///
    /// # Errors
    ///
    /// As [`push_tensor`](Self::push_tensor).
    pub fn push_output<T: Element>(&mut self, shape: &[u32]) -> Result<(), ArgumentsError> {
        let index = self.packed.data.len();
        check_shape(index, T::DTYPE, shape, None)?;
        let need = tensor_bytes(T::DTYPE, shape);
        let too_large =
            || ArgumentsError::Length { index, shape: shape.to_vec(), need, have: usize::MAX };
        let mut bytes = Vec::new();
        let count = usize::try_from(need).map_err(|_| too_large())?;
        bytes.try_reserve_exact(count).map_err(|_| too_large())?;
        bytes.resize(count, 0);
        self.push_tensor(OwnedData::Out(bytes), T::DTYPE, shape)
    }

    /// Adds a tensor that the callable reads and changes; copies the elements.
    ///
    /// # Errors
    ///
    /// As [`push_tensor`](Self::push_tensor).
    pub fn push_inout<T: Element>(
        &mut self,
        elements: &[T],
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_tensor(OwnedData::InOut(elements.as_bytes().to_vec()), T::DTYPE, shape)
    }

    /// Adds a tensor that is on the device.
    ///
    /// # Errors
    ///
    /// As [`push_tensor`](Self::push_tensor), and for the null address.
    pub fn push_device(
        &mut self,
        address: DeviceAddr,
        dtype: DataType,
        shape: &[u32],
    ) -> Result<(), ArgumentsError> {
        self.push_tensor(OwnedData::Device(address), dtype, shape)
    }

    /// Adds a scalar by its zero-extended bit pattern.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::TooMany`] beyond 128 scalars.
    pub fn push_scalar(&mut self, bits: u64) -> Result<(), ArgumentsError> {
        pack_scalar(&mut self.packed.record, bits)
    }

    /// Adds a scalar of an element type.
    ///
    /// # Errors
    ///
    /// As [`push_scalar`](Self::push_scalar).
    pub fn push_scalar_value<T: Element>(&mut self, value: T) -> Result<(), ArgumentsError> {
        self.push_scalar(scalar_bits(value))
    }

    /// Puts other data in the place of a tensor's, of the same size.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::NoSuchArgument`], [`ArgumentsError::Length`] and
    /// [`ArgumentsError::NullDevice`]; nothing changes then.
    pub fn set_tensor(&mut self, index: usize, data: OwnedData) -> Result<(), ArgumentsError> {
        let missing = ArgumentsError::NoSuchArgument { what: "tensor", index };
        let Packed { data: places, record } = &mut *self.packed;
        let Some(slot) = places.get_mut(index) else { return Err(missing) };
        let tensor = &mut record.tensors[index];
        let dtype = tensor.data_type().map_err(|_| missing)?;
        // CAST: at most five.
        let shape = &tensor.shapes[..tensor.ndims as usize];
        check_shape(index, dtype, shape, data.host_bytes().map(<[u8]>::len))?;
        (tensor.data, tensor.child_memory) = match &data {
            OwnedData::Device(address) if address.is_null() => {
                return Err(ArgumentsError::NullDevice { index });
            }
            OwnedData::Device(address) => (address.raw(), 1),
            _ => (0, 0),
        };
        *slot = data;
        Ok(())
    }

    /// Puts another bit pattern in the place of a scalar's.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::NoSuchArgument`].
    pub fn set_scalar(&mut self, index: usize, bits: u64) -> Result<(), ArgumentsError> {
        if index >= self.scalars().len() {
            return Err(ArgumentsError::NoSuchArgument { what: "scalar", index });
        }
        self.packed.record.scalars[index] = bits;
        Ok(())
    }

    /// Takes all arguments away, and shows the data of the tensors to who may use its memory again. What else
    /// they had of memory stays: who submits again and again, and gets the arguments of earlier runs back,
    /// allocates none for them.
    pub fn empty(&mut self, reuse: impl FnMut(OwnedData)) {
        self.packed.data.drain(..).for_each(reuse);
        clear_record(&mut self.packed.record);
        self.outputs.clear();
    }

    /// The data of the tensors.
    #[must_use]
    pub fn tensors(&self) -> &[OwnedData] {
        &self.packed.data
    }

    /// The scalars, as zero-extended bit patterns.
    #[must_use]
    pub fn scalars(&self) -> &[u64] {
        // The counts are this module's own.
        self.packed.record.scalars().unwrap_or_default()
    }

    /// A copy of the elements of the tensor at `index`; `None` where it is on the device, of another
    /// type, or not there.
    #[must_use]
    pub fn elements<T: Element>(&self, index: usize) -> Option<Vec<T>> {
        let bytes = self.packed.data.get(index)?.host_bytes()?;
        if self.packed.record.tensors[index].dtype != T::DTYPE as u8 {
            return None;
        }
        let elements = bytes.chunks_exact(size_of::<T>());
        elements.map(|element| T::read_from_bytes(element).ok()).collect()
    }

    /// What the last run of an orchestration on the host (hbg) with these arguments has recorded as its
    /// outputs: tensors, and bytes of them. Empty for trb, and where no run has succeeded.
    #[must_use]
    pub fn recorded_outputs(&self) -> &[(usize, Range<usize>)] {
        &self.outputs
    }

    /// Bytes of host memory that they hold, the record included. An input counts in full, whoever
    /// else shares it.
    #[must_use]
    pub fn host_bytes(&self) -> u64 {
        let tensors = self.packed.data.iter().filter_map(OwnedData::host_bytes);
        // CAST: usize is at most 64 bits.
        size_of::<ChipStorageTaskArgs>() as u64 + tensors.map(|it| it.len() as u64).sum::<u64>()
    }
}

impl Clone for OwnedArguments {
    fn clone(&self) -> Self {
        // No run has had the clone.
        Self { packed: self.packed.clone(), outputs: Vec::new() }
    }
}

impl PartialEq for OwnedArguments {
    fn eq(&self, other: &Self) -> bool {
        self.packed == other.packed
    }
}

impl Eq for OwnedArguments {}

impl fmt::Debug for OwnedArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, "OwnedArguments", f)
    }
}

impl OwnedData {
    /// The host memory, if it is that.
    #[must_use]
    pub fn host_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::In(bytes) => Some(bytes),
            Self::Out(bytes) | Self::InOut(bytes) | Self::Declared(bytes) => Some(bytes),
            Self::Device(_) => None,
        }
    }
}

impl TensorSet for OwnedArguments {
    fn record(&self) -> &ChipStorageTaskArgs {
        &self.packed.record
    }

    fn place(&self, index: usize) -> Option<Place<'_>> {
        Some(match self.packed.data.get(index)? {
            OwnedData::In(bytes) => Place::Host(bytes, Some(ArgDirection::In)),
            OwnedData::Out(bytes) => Place::Host(bytes, Some(ArgDirection::Out)),
            OwnedData::InOut(bytes) => Place::Host(bytes, Some(ArgDirection::InOut)),
            OwnedData::Declared(bytes) => Place::Host(bytes, None),
            OwnedData::Device(address) => Place::Device(*address),
        })
    }

    fn writable(&mut self, index: usize) -> Option<&mut [u8]> {
        match self.packed.data.get_mut(index)? {
            OwnedData::Out(bytes) | OwnedData::InOut(bytes) | OwnedData::Declared(bytes) => {
                Some(bytes)
            }
            OwnedData::In(_) | OwnedData::Device(_) => None,
        }
    }

    fn note_outputs(&mut self, outputs: &mut dyn Iterator<Item = (usize, Range<usize>)>) {
        self.outputs.clear();
        self.outputs.extend(outputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back_as_they_went_in_and_a_clone_shares_inputs() {
        let mut arguments = OwnedArguments::new();
        arguments.push_input(&[1i16, -2], &[2]).unwrap();
        arguments.push_inout(&[7u8], &[1]).unwrap();
        arguments.push_output::<f32>(&[2, 2]).unwrap();
        arguments.push_scalar_value(-1i32).unwrap();
        assert_eq!(arguments.elements::<i16>(0), Some(vec![1, -2]));
        assert_eq!(arguments.elements::<u16>(0), None, "another type");
        assert_eq!(arguments.elements::<f32>(2), Some(vec![0.0; 4]));
        assert_eq!(arguments.elements::<f32>(3), None);
        assert_eq!(arguments.scalars(), [0xFFFF_FFFF]);
        assert_eq!(arguments.host_bytes(), 3592 + 4 + 1 + 16);
        let clone = arguments.clone();
        let [OwnedData::In(first), ..] = arguments.tensors() else { panic!() };
        let [OwnedData::In(second), ..] = clone.tensors() else { panic!() };
        assert!(Arc::ptr_eq(first, second));
    }

    #[test]
    fn what_is_set_must_fit_what_was_there() {
        let mut arguments = OwnedArguments::new();
        arguments.push_input(&[1u16, 2], &[2]).unwrap();
        arguments.push_scalar(1).unwrap();
        let set = |arguments: &mut OwnedArguments, data| arguments.set_tensor(0, data);
        let short = set(&mut arguments, OwnedData::In([1u8; 3].as_slice().into()));
        assert!(matches!(short, Err(ArgumentsError::Length { need: 4, have: 3, .. })), "{short:?}");
        let null = set(&mut arguments, OwnedData::Device(DeviceAddr::NULL));
        assert_eq!(null, Err(ArgumentsError::NullDevice { index: 0 }));
        assert_eq!(arguments.elements::<u16>(0), Some(vec![1, 2]), "nothing changed");
        set(&mut arguments, OwnedData::Device(DeviceAddr::new(64))).unwrap();
        assert_eq!(arguments.record().tensors[0].child_memory, 1);
        set(&mut arguments, OwnedData::InOut(vec![0; 4])).unwrap();
        assert_eq!((arguments.record().tensors[0].child_memory, 0), (0, 0));
        let missing = arguments.set_tensor(1, OwnedData::InOut(vec![0; 4]));
        assert_eq!(missing, Err(ArgumentsError::NoSuchArgument { what: "tensor", index: 1 }));
        arguments.set_scalar(0, 9).unwrap();
        assert_eq!(arguments.scalars(), [9]);
        let missing = arguments.set_scalar(1, 9);
        assert_eq!(missing, Err(ArgumentsError::NoSuchArgument { what: "scalar", index: 1 }));
    }

    #[test]
    fn emptied_arguments_are_as_new_and_give_their_data_away() {
        let mut arguments = OwnedArguments::new();
        arguments.push_input(&[1u16, 2], &[2]).unwrap();
        arguments.push_output::<u8>(&[3]).unwrap();
        arguments.push_scalar(5).unwrap();
        let mut data = Vec::new();
        arguments.empty(|tensor| data.push(tensor));
        assert_eq!(data[1], OwnedData::Out(vec![0; 3]));
        assert_eq!((arguments == OwnedArguments::new(), data.len()), (true, 2));
    }

    #[test]
    fn an_output_of_an_absurd_size_is_refused() {
        let refused = OwnedArguments::new().push_output::<f32>(&[u32::MAX, u32::MAX]);
        assert!(matches!(refused, Err(ArgumentsError::Length { .. })), "{refused:?}");
    }

    #[test]
    fn arguments_are_shown_by_shape_and_place_whatever_they_hold() {
        let mut arguments = OwnedArguments::new();
        arguments.push_input(&[1u16; 6], &[2, 3]).unwrap();
        arguments.push_device(DeviceAddr::new(64), DataType::Float32, &[4096]).unwrap();
        arguments.push_output::<u8>(&[100_000]).unwrap();
        arguments.push_scalar(7).unwrap();
        let text = format!("{arguments:?}");
        for part in ["IN UINT16[2, 3], 12 bytes", "FLOAT32[4096] on the device", "scalars: [7]"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.len() < 300, "{text}");
    }
}
