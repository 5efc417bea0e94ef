//! The client's arguments of a run, as arguments of the worker.
//!
//! ```text
//!  ChipStorageTaskArgs ──▶ one place for each tensor ──▶ Arguments, which borrow the client's memory
//!                          │ two that share bytes, one of them written: a copy each,
//!                          └─ written back in order after a run that succeeded
//! ```
//!
//! Of trb all that is copied comes back whole, so the last of two that share bytes wins. An orchestration of
//! hbg gets the client's own addresses and says itself what comes back, and where: it is called with copies
//! only of what is shared, and only what has changed in those is written back, so that an input does not
//! undo what an output has put there. A submitted run has copies of everything, which the client may have
//! filled anew when its end is asked for: what is written back is what was recorded as an output, and what
//! has changed besides.

use std::mem;
use std::ops::Range;

use host_runner::arguments::{Arguments, OwnedArguments, OwnedData, TensorData};
use host_runner::runtime_name::RuntimeName;
use protocol::{ArgDirection, ChipStorageTaskArgs, DataType, DeviceAddr, MAX_TENSOR_DIMS};

use crate::client_memory::{self, Access};
use crate::failure::Failure;

mod check;
mod copies;
mod spares;

use check::check_tensor;
use copies::{NONE, copied, duplicate, look, put};
pub(crate) use spares::SpareArguments;

/// Which host tensors are copied to the device before a run, and which back after it. An orchestration of hbg
/// makes its own copies; for it, this is which tensors may be written to.
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
        /// What they were before the run, where only what has changed is written back (hbg).
        before: Option<Vec<u8>>,
    },
}

/// Elements per dimension.
#[derive(Debug, Clone, Copy)]
struct Shape {
    sizes: [u32; MAX_TENSOR_DIMS],
    dimensions: usize,
}

impl Shape {
    fn sizes(&self) -> &[u32] {
        self.sizes.get(..self.dimensions).unwrap_or(&self.sizes)
    }
}

/// The arguments of a run, checked. They can be used for one run after the other, and allocate nothing then
/// for a run that is like one before.
#[derive(Debug)]
pub(crate) struct ClientArguments {
    tensors: Vec<(Place, DataType, Shape)>,
    scalars: Vec<u64>,
    runtime: RuntimeName,
    /// Memory for what a run is lent, and for what one owns.
    lent: Option<Arguments<'static>>,
    owned: Option<OwnedArguments>,
    /// Where the data of owned arguments is between two runs.
    spares: Vec<OwnedData>,
}

impl ClientArguments {
    /// No arguments.
    pub(crate) fn new() -> Self {
        let (tensors, scalars, spares) = Default::default();
        let (runtime, lent, owned) = (RuntimeName::Trb, None, None);
        Self { tensors, scalars, runtime, lent, owned, spares }
    }

    /// Takes all arguments away, and keeps memory for others.
    pub(crate) fn clear(&mut self) {
        self.tensors.clear();
        self.scalars.clear();
    }

    /// Gives up the memory of owned arguments, if that is more than this.
    pub(crate) fn keep_at_most(&mut self, bytes: u64) {
        self.owned = self.owned.take().filter(|owned| owned.host_bytes() <= bytes);
    }

    /// Keeps the arguments of a run that is over, whose memory a later one uses.
    pub(crate) fn keep(&mut self, owned: OwnedArguments) {
        self.owned = Some(owned);
    }

    /// Takes arguments in and checks them: counts, shapes, types, and that the memory of every host tensor
    /// can be used as the rule says.
    ///
    /// # Errors
    ///
    /// Any of it is wrong; the text says which tensor.
    pub(crate) fn check(
        &mut self,
        record: &ChipStorageTaskArgs,
        declared: &[ArgDirection],
        rule: CopyRule,
        runtime: RuntimeName,
    ) -> Result<(), Failure> {
        self.clear();
        self.runtime = runtime;
        let records = record.tensors().map_err(|error| Failure::of(&error))?;
        for (index, tensor) in records.iter().enumerate() {
            let declared = declared.get(index).copied();
            let what = format_args!("tensor {index}");
            self.tensors.push(check_tensor(what, tensor, declared, rule, runtime)?);
        }
        let scalars = record.scalars().map_err(|error| Failure::of(&error))?;
        self.scalars.extend_from_slice(scalars);
        Ok(())
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
    /// Of `body`, arguments that the worker refuses, and no memory for copies.
    pub(crate) unsafe fn lend<T>(
        &mut self,
        body: impl FnOnce(&mut Arguments<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // SAFETY: as the caller promises.
        unsafe { self.copy_what_is_shared()? };
        let mut arguments: Arguments<'_> = self.lent.take().unwrap_or_default();
        for (place, dtype, shape) in &mut self.tensors {
            // SAFETY: the caller promises that the memory is ours for the run, `check` found it
            // usable, and what shares bytes with another tensor is not lent, its copy is.
            let data = unsafe { place.data() };
            let pushed = arguments.push_data(data, *dtype, shape.sizes());
            pushed.map_err(|error| Failure::of(&error))?;
        }
        for scalar in &self.scalars {
            arguments.push_scalar(*scalar).map_err(|error| Failure::of(&error))?;
        }
        let value = body(&mut arguments)?;
        self.lent = Some(arguments.emptied());
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
    pub(crate) unsafe fn take_copies(&mut self) -> Result<OwnedArguments, Failure> {
        let mut owned = self.owned.take().unwrap_or_default();
        let mut spares = mem::take(&mut self.spares);
        spares.clear();
        owned.empty(|data| spares.push(data));
        for (index, (place, dtype, shape)) in self.tensors.iter_mut().enumerate() {
            let data = match place {
                Place::Device(address) => OwnedData::Device(*address),
                Place::Host { memory, use_, before, .. } => {
                    // SAFETY: as the caller promises.
                    let bytes = unsafe { look(memory)? };
                    if self.runtime == RuntimeName::Hbg && *use_ != Use::Read {
                        *before = Some(duplicate(bytes)?);
                    }
                    let spare = spares.get_mut(index).map(|spare| mem::replace(spare, NONE));
                    copied(bytes, *use_, spare)?
                }
            };
            let pushed = owned.push_tensor(data, *dtype, shape.sizes());
            pushed.map_err(|error| Failure::of(&error))?;
        }
        self.spares = spares;
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
                (
                    Place::Host { memory, before, .. },
                    OwnedData::Out(bytes) | OwnedData::InOut(bytes),
                ) => Some((index, memory, before.as_deref(), &bytes[..])),
                _ => None,
            })
        };
        for (index, memory, ..) in written() {
            let start = std::ptr::with_exposed_provenance(memory.start);
            client_memory::check(
                format_args!("tensor {index}"),
                start,
                memory.len(),
                Access::Write,
            )?;
        }
        for (_, memory, before, after) in written() {
            // SAFETY: writable, as was just found, and the run's own copy was made from it.
            unsafe { put(memory, before, after) };
        }
        for (tensor, range) in owned.recorded_outputs() {
            let found = written().find(|(index, ..)| index == tensor);
            let Some((_, memory, _, after)) = found else { continue };
            let Some(bytes) = after.get(range.clone()) else { continue };
            // No overflow, as the bytes are within the tensor.
            let place = memory.start + range.start..memory.start + range.end;
            // SAFETY: as above; a part of the same memory, and of the copy.
            unsafe { put(&place, None, bytes) };
        }
        Ok(())
    }

    /// Whether a tensor is in host memory and shares bytes with another one, one of them being written.
    fn is_shared(&self, index: usize) -> bool {
        let host = |(place, ..): &(Place, DataType, Shape)| place.host();
        let Some((memory, use_)) = self.tensors.get(index).and_then(host) else { return false };
        self.tensors.iter().enumerate().any(|(other, tensor)| {
            host(tensor).is_some_and(|(range, other_use)| {
                other != index
                    && range.start < memory.end
                    && memory.start < range.end
                    && (use_ != Use::Read || other_use != Use::Read)
            })
        })
    }

    /// Gives each tensor that shares bytes with one that is written a copy of its own: no two
    /// references may mean the same bytes.
    ///
    /// # Safety
    ///
    /// As [`lend`](Self::lend).
    ///
    /// # Errors
    ///
    /// No memory for the copies.
    unsafe fn copy_what_is_shared(&mut self) -> Result<(), Failure> {
        for index in 0..self.tensors.len() {
            if !self.is_shared(index) {
                continue;
            }
            let place = self.tensors.get_mut(index).map(|(place, ..)| place);
            let Some(Place::Host { memory, copy: own, before, .. }) = place else { continue };
            // SAFETY: as the caller promises.
            let bytes = duplicate(unsafe { look(memory)? })?;
            if self.runtime == RuntimeName::Hbg {
                *before = Some(duplicate(&bytes)?);
            }
            *own = Some(bytes);
        }
        Ok(())
    }

    /// Writes copies back in the order of the tensors, as the reference does: the last one wins.
    ///
    /// # Safety
    ///
    /// As [`lend`](Self::lend), and nothing is lent.
    unsafe fn write_back(&self) {
        for (place, ..) in &self.tensors {
            if let Place::Host { memory, use_, copy: Some(copy), before } = place
                && *use_ != Use::Read
            {
                // SAFETY: `check` found it writable; the copy is a vector of that length.
                unsafe { put(memory, before.as_deref(), copy) };
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
            Self::Host { memory, use_, copy: None, .. } => {
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

#[cfg(test)]
mod tests;
