//! The client's arguments of a run, as arguments of the worker.
//!
//! ```text
//!  ChipStorageTaskArgs ──▶ one place for each tensor ──▶ Arguments, which borrow the client's memory
//!                          │ two that share bytes, one of them written: a copy each,
//!                          └─ written back in order after a run that succeeded
//! ```

use std::ffi::c_void;
use std::ops::Range;

use host_runner::arguments::{Arguments, OwnedArguments, OwnedData, TensorArgument, TensorData};
use protocol::{ArgDirection, ChipStorageTaskArgs, ContinuousTensor, DataType, DeviceAddr};

use crate::client_memory::{self, Access};
use crate::failure::Failure;

/// Which host tensors are copied to the device before a run, and which back after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyRule {
    /// All of them, both ways, as the reference does.
    #[default]
    BothWays,
    /// As the callable declares them; both ways where it declares nothing.
    Declared,
}

/// What the callable does with a host tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Fill,
    Change,
}

/// Where a tensor is.
#[derive(Debug)]
enum Place {
    Device(DeviceAddr),
    Host {
        memory: Range<usize>,
        use_: Use,
        /// Its bytes, where it shares some with another.
        copy: Option<Vec<u8>>,
    },
}

/// The arguments of a run, checked.
#[derive(Debug)]
pub(crate) struct ClientArguments {
    tensors: Vec<(Place, DataType, Vec<u32>)>,
    scalars: Vec<u64>,
}

impl ClientArguments {
    /// Checks the arguments: counts, shapes, types, and that the memory of every host tensor can be
    /// used as the rule says.
    ///
    /// # Errors
    ///
    /// Any of it is wrong; the text says which tensor.
    pub(crate) fn check(
        record: &ChipStorageTaskArgs,
        declared: &[ArgDirection],
        rule: CopyRule,
    ) -> Result<Self, Failure> {
        let mut tensors = Vec::new();
        let records = record.tensors().map_err(|error| Failure::of(&error))?;
        for (index, tensor) in records.iter().enumerate() {
            let declared = declared.get(index).copied();
            let what = format!("tensor {index}");
            let checked = check_tensor(&what, tensor, declared, rule)?;
            tensors.push(checked);
        }
        let scalars = record.scalars().map_err(|error| Failure::of(&error))?.to_vec();
        Ok(Self { tensors, scalars })
    }

    /// Runs `body` with the arguments, and writes back what was copied, if it succeeds.
    ///
    /// # Safety
    ///
    /// Until this returns, nobody unmaps the memory of the tensors, nobody else writes to it, and
    /// nobody reads what the callable writes.
    ///
    /// # Errors
    ///
    /// Of `body`, and arguments that the worker refuses.
    pub(crate) unsafe fn lend<T>(
        &mut self,
        body: impl FnOnce(&mut Arguments<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // SAFETY: as the caller promises.
        unsafe { self.copy_what_is_shared() };
        let mut arguments = Arguments::new();
        for (place, dtype, shape) in &mut self.tensors {
            // SAFETY: the caller promises that the memory is ours for the run, `check` found it
            // usable, and what shares bytes with another tensor is not lent, its copy is.
            let data = unsafe { place.data() };
            let tensor = TensorArgument { data, dtype: *dtype, shape: shape.clone() };
            arguments.push_tensor(tensor).map_err(|error| Failure::of(&error))?;
        }
        for scalar in &self.scalars {
            arguments.push_scalar(*scalar).map_err(|error| Failure::of(&error))?;
        }
        let value = body(&mut arguments)?;
        drop(arguments);
        // SAFETY: as the caller promises; nothing is lent any more.
        unsafe { self.write_back() };
        Ok(value)
    }

    /// A copy of the arguments, with memory of its own.
    ///
    /// # Safety
    ///
    /// Nobody changes or unmaps the memory of the tensors meanwhile.
    ///
    /// # Errors
    ///
    /// Arguments that the worker refuses, and no memory for the copy.
    pub(crate) unsafe fn to_owned_arguments(&self) -> Result<OwnedArguments, Failure> {
        let mut owned = OwnedArguments::new();
        for (place, dtype, shape) in &self.tensors {
            let data = match place {
                Place::Device(address) => OwnedData::Device(*address),
                Place::Host { memory, use_, .. } => {
                    let start = std::ptr::with_exposed_provenance(memory.start);
                    // SAFETY: as the caller promises.
                    let bytes = unsafe { client_memory::copy("a tensor", start, memory.len())? };
                    match use_ {
                        Use::Read => OwnedData::In(bytes.into()),
                        Use::Fill => OwnedData::Out(bytes),
                        Use::Change => OwnedData::InOut(bytes),
                    }
                }
            };
            owned.push_tensor(data, *dtype, shape).map_err(|error| Failure::of(&error))?;
        }
        for scalar in &self.scalars {
            owned.push_scalar(*scalar).map_err(|error| Failure::of(&error))?;
        }
        Ok(owned)
    }

    /// Writes what a run wrote into the client's memory, in the order of the tensors.
    ///
    /// # Safety
    ///
    /// Nobody reads, changes or unmaps the memory of the tensors meanwhile.
    ///
    /// # Errors
    ///
    /// Memory that cannot be written to any more; nothing has been written then.
    pub(crate) unsafe fn take_back(&self, owned: &OwnedArguments) -> Result<(), Failure> {
        let written = || {
            let places = self.tensors.iter().map(|(place, ..)| place);
            places.zip(owned.tensors()).enumerate().filter_map(|(index, pair)| match pair {
                (Place::Host { memory, .. }, OwnedData::Out(bytes) | OwnedData::InOut(bytes)) => {
                    Some((index, memory.start, bytes))
                }
                _ => None,
            })
        };
        for (index, start, bytes) in written() {
            let start = std::ptr::with_exposed_provenance(start);
            client_memory::check(&format!("tensor {index}"), start, bytes.len(), Access::Write)?;
        }
        for (_, start, bytes) in written() {
            let start = std::ptr::with_exposed_provenance_mut::<u8>(start);
            // SAFETY: writable, as was just found, and of that size, as the run's own copy was made
            // from it.
            unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        Ok(())
    }

    /// Gives each tensor that shares bytes with one that is written a copy of its own: no two
    /// references may mean the same bytes.
    ///
    /// # Safety
    ///
    /// As [`lend`](Self::lend).
    unsafe fn copy_what_is_shared(&mut self) {
        let hosts: Vec<_> = self.tensors.iter().map(|(place, ..)| place.host()).collect();
        for (index, (place, ..)) in self.tensors.iter_mut().enumerate() {
            let Place::Host { memory, use_, copy } = place else { continue };
            let shares = hosts.iter().enumerate().any(|(other, host)| {
                host.as_ref().is_some_and(|(range, other_use)| {
                    other != index
                        && range.start < memory.end
                        && memory.start < range.end
                        && (*use_ != Use::Read || *other_use != Use::Read)
                })
            });
            if shares {
                let start = std::ptr::with_exposed_provenance::<u8>(memory.start);
                // SAFETY: `check` found it readable, and it stays so, as the caller promises.
                let bytes = unsafe { std::slice::from_raw_parts(start, memory.len()) };
                *copy = Some(bytes.to_vec());
            }
        }
    }

    /// Writes copies back in the order of the tensors, as the reference does: the last one wins.
    ///
    /// # Safety
    ///
    /// As [`lend`](Self::lend), and nothing is lent.
    unsafe fn write_back(&self) {
        for (place, ..) in &self.tensors {
            if let Place::Host { memory, use_: Use::Fill | Use::Change, copy: Some(copy) } = place {
                let start = std::ptr::with_exposed_provenance_mut::<u8>(memory.start);
                // SAFETY: `check` found it writable; the copy is a vector of that length.
                unsafe { start.copy_from_nonoverlapping(copy.as_ptr(), copy.len()) };
            }
        }
    }
}

impl Place {
    fn host(&self) -> Option<(Range<usize>, Use)> {
        match self {
            Self::Device(_) => None,
            Self::Host { memory, use_, .. } => Some((memory.clone(), *use_)),
        }
    }

    /// The tensor as the worker takes it.
    ///
    /// # Safety
    ///
    /// The memory can be used as `check` found, and no other reference to it lives as long as this.
    unsafe fn data(&mut self) -> TensorData<'_> {
        match self {
            Self::Device(address) => TensorData::Device(*address),
            Self::Host { use_: Use::Read, copy: Some(bytes), .. } => TensorData::In(bytes),
            Self::Host { use_: Use::Fill, copy: Some(bytes), .. } => TensorData::Out(bytes),
            Self::Host { use_: Use::Change, copy: Some(bytes), .. } => TensorData::InOut(bytes),
            Self::Host { memory, use_, copy: None } => {
                let start = std::ptr::with_exposed_provenance_mut::<u8>(memory.start);
                let bytes = memory.len();
                // SAFETY: as the caller promises.
                unsafe {
                    match use_ {
                        Use::Read => TensorData::In(std::slice::from_raw_parts(start, bytes)),
                        Use::Fill => TensorData::Out(std::slice::from_raw_parts_mut(start, bytes)),
                        Use::Change => {
                            TensorData::InOut(std::slice::from_raw_parts_mut(start, bytes))
                        }
                    }
                }
            }
        }
    }
}

/// Checks one tensor.
fn check_tensor(
    what: &str,
    tensor: &ContinuousTensor,
    declared: Option<ArgDirection>,
    rule: CopyRule,
) -> Result<(Place, DataType, Vec<u32>), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::refused(format!("{what}: {error}"));
    let bytes = tensor.byte_len().map_err(|error| refused(&error))?;
    let dtype = tensor.data_type().map_err(|error| refused(&error))?;
    // CAST: at most 5, which the size has been computed with.
    let mut shape = tensor.shapes[..tensor.ndims as usize].to_vec();
    if shape.is_empty() {
        // No dimensions are one element (spec callable §1.3), and so is one dimension of 1.
        shape.push(1);
    }
    if tensor.is_child_memory() {
        return Ok((Place::Device(DeviceAddr::new(tensor.data)), dtype, shape));
    }
    let too_large = |_| refused(&"it is larger than this machine's memory");
    let bytes = usize::try_from(bytes).map_err(too_large)?;
    let start = usize::try_from(tensor.data).map_err(too_large)?;
    let address = std::ptr::with_exposed_provenance::<c_void>(start);
    let check = |access| client_memory::check(what, address, bytes, access);
    let use_ = match (rule, declared) {
        (CopyRule::Declared, Some(ArgDirection::In)) => Use::Read,
        (CopyRule::Declared, Some(ArgDirection::Out)) => Use::Fill,
        // Copying back what is only read changes nothing, so where it cannot be written to, as a
        // mapped file of weights, it need not be.
        (CopyRule::BothWays, Some(ArgDirection::In)) if check(Access::Write).is_err() => Use::Read,
        _ => Use::Change,
    };
    check(if use_ == Use::Read { Access::Read } else { Access::Write })?;
    // No overflow: the range is memory. An empty tensor has no memory, and is refused later.
    let memory = start..start.saturating_add(bytes);
    Ok((Place::Host { memory, use_, copy: None }, dtype, shape))
}

#[cfg(test)]
mod tests;
