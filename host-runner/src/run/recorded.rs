//! What a run of hbg did, in a way in which it can be done again without its orchestration.
//!
//! ```text
//!  arguments ── as recorded? ──▶ copies, from arguments or captured bytes ──▶ graph ──▶ outputs
//! ```
//!
//! A replay copies to the addresses that the recorded run had. They are memory of the callable's runs as
//! long as that has the chunks that the run used, whatever other runs have done with them since. Memory of
//! the user at an address that no argument names may be somebody else's once the user has freed any.

use std::sync::Mutex;

use protocol::{ArgDirection, ChipStorageTaskArgs, ContinuousTensor, DeviceAddr};

use super::host_arguments::check_device_tensor;
use super::{Call, RecordError, RunError};
use crate::arguments::{Place, TensorSet};
use crate::device::{Device, MemoryError};
use crate::graph::GraphBuilder;
use crate::host_orchestration::{
    Built, CopySource, OutputTarget, RecordedCopy, Recording, host_range,
};
use crate::registry::{GraphSpace, OpenDevice};

/// Where the graph of a run comes from (hbg). Runs of trb know the first only.
#[derive(Debug)]
pub(crate) enum GraphSource<'r> {
    /// The orchestration builds it.
    Entry,
    /// The orchestration builds it, and what it did is kept here if the run succeeds.
    Record(&'r mut Option<RecordedRun>),
    /// It is the recorded one. Locked in turn with all other runs, so nobody waits for it.
    Replay(&'r Mutex<RecordedRun>),
    /// The orchestration builds it anew, and it must have the recorded structure.
    Rebuild(&'r Mutex<RecordedRun>),
}

/// A run that can be done again.
#[derive(Debug)]
pub(crate) struct RecordedRun {
    /// The graph, with the argument words of the run.
    pub(super) graph: GraphBuilder,
    /// What the run did apart from it.
    pub(super) transfers: Transfers,
    /// Which state of the graph the device had after it.
    pub(super) version: u64,
}

/// What a run did apart from its graph.
#[derive(Debug)]
pub(super) struct Transfers {
    /// The arguments, without the addresses of host tensors.
    pub(super) arguments: Box<ChipStorageTaskArgs>,
    space: u64,
    chunks: Vec<u64>,
    copies: Vec<RecordedCopy>,
    outputs: Vec<RecordedOutput>,
    /// What of copies and outputs is in the user's device memory.
    user_ranges: Vec<(DeviceAddr, usize)>,
    /// Where some of that is named by no argument: how often memory of the user had ended by then.
    /// Afterwards, what is at such an address may be somebody else's.
    unnamed_at: Option<u64>,
}

/// An output to a tensor argument.
#[derive(Debug, Clone, Copy)]
struct RecordedOutput {
    device: DeviceAddr,
    bytes: usize,
    tensor: usize,
    offset: u64,
}

impl Transfers {
    /// What the run did that was just built in `space`. `lent` are `arguments` with the addresses of host
    /// tensors.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub(super) fn of(
        built: &mut Built,
        on: &OpenDevice,
        space: &GraphSpace,
        arguments: Box<ChipStorageTaskArgs>,
        lent: &ChipStorageTaskArgs,
    ) -> Result<Self, RecordError> {
        let Recording { copies, targets } = built.recording.take().unwrap_or_default();
        for (index, copy) in copies.iter().enumerate() {
            match copy.source {
                CopySource::Argument { tensor, offset } => {
                    check_owner(lent, "copy", index, (tensor, offset), copy.bytes)?;
                }
                CopySource::Partly { tensor } => {
                    return Err(RecordError::CopyAcross { index, bytes: copy.bytes, tensor });
                }
                CopySource::Bytes(_) => {}
            }
        }
        let mut outputs = Vec::with_capacity(targets.len());
        for (index, (output, target)) in built.outputs.iter().zip(targets).enumerate() {
            let (device, bytes) = (output.device, output.bytes);
            let OutputTarget::Argument { tensor, offset } = target else {
                return Err(RecordError::OutputElsewhere { index, bytes });
            };
            check_owner(lent, "output", index, (tensor, offset), bytes)?;
            outputs.push(RecordedOutput { device, bytes, tensor, offset });
        }
        let ranges = copies.iter().map(|copy| (copy.device, copy.bytes));
        let ranges = ranges.chain(outputs.iter().map(|output| (output.device, output.bytes)));
        let of_user = |(at, bytes): &(DeviceAddr, usize)| !space.memory.is_in_chunk(*at, *bytes);
        let user_ranges: Vec<_> = ranges.filter(of_user).collect();
        let are_named = user_ranges.iter().all(|range| is_named(lent, *range));
        let unnamed_at = (!are_named).then(|| on.user_memory_ends());
        let (space, chunks) = (space.number, space.memory.open_chunks());
        Ok(Self { arguments, space, chunks, copies, outputs, user_ranges, unnamed_at })
    }

    /// Whether its addresses still are memory of the runs in `space`, and the user's as it was.
    pub(super) fn are_in(&self, space: &GraphSpace, on: &OpenDevice) -> bool {
        self.space == space.number
            && space.memory.has_chunks(&self.chunks)
            && self.unnamed_at.is_none_or(|ends| ends == on.user_memory_ends())
    }

    /// Checks what the run may use: the user's device memory, and tensors to write to.
    ///
    /// # Errors
    ///
    /// [`RunError::Memory`] and [`RunError::ReadOnlyOutput`].
    pub(super) fn check(&self, call: &Call<'_>, arguments: &dyn TensorSet) -> Result<(), RunError> {
        let device = call.placement.on().device();
        for (index, tensor) in arguments.record().tensors()?.iter().enumerate() {
            if let Some(Place::Device(address)) = arguments.place(index) {
                check_device_tensor(device, address, tensor)?;
            }
        }
        for (address, bytes) in &self.user_ranges {
            device.check_user_range(*address, *bytes)?;
        }
        for RecordedOutput { tensor: index, .. } in &self.outputs {
            if let Some(Place::Host(_, direction)) = arguments.place(*index)
                && direction.unwrap_or_else(|| call.callable.direction(*index)) == ArgDirection::In
            {
                return Err(RunError::ReadOnlyOutput { index: *index });
            }
        }
        Ok(())
    }

    /// Copies to the device what the recorded run copied, in the same order.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub(super) fn copy_in(
        &self,
        device: &dyn Device,
        arguments: &dyn TensorSet,
    ) -> Result<(), RunError> {
        for copy in &self.copies {
            let bytes = match &copy.source {
                CopySource::Bytes(bytes) => Some(&**bytes),
                CopySource::Argument { tensor, offset } => match arguments.place(*tensor) {
                    Some(Place::Host(bytes, _)) => part(bytes, *offset, copy.bytes),
                    _ => None,
                },
                CopySource::Partly { .. } => None,
            };
            // What is not there was refused before.
            device.copy_in(copy.device, bytes.ok_or(RunError::Abandoned)?)?;
        }
        Ok(())
    }

    /// Copies the outputs back.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; some of the outputs may be written then.
    pub(super) fn copy_out(
        &self,
        device: &dyn Device,
        arguments: &mut dyn TensorSet,
    ) -> Result<(), MemoryError> {
        for RecordedOutput { device: from, bytes, tensor, offset } in &self.outputs {
            let range = range(*offset, *bytes);
            let to = arguments.writable(*tensor).zip(range).and_then(|(to, it)| to.get_mut(it));
            if let Some(to) = to {
                device.copy_out(to, *from)?;
            }
        }
        Ok(())
    }
}

/// Whether an argument says that the run uses this range of the user's memory, so that whoever passes the
/// same argument again says so again: a device tensor that has all of it, or a scalar that is its address.
fn is_named(lent: &ChipStorageTaskArgs, (address, bytes): (DeviceAddr, usize)) -> bool {
    let has_all = |tensor: &ContinuousTensor| {
        let Some(offset) = address.raw().checked_sub(tensor.data) else { return false };
        // CAST: usize is 64 bits on the supported targets.
        let end = offset.checked_add(bytes as u64);
        let length = tensor.byte_len().ok();
        tensor.is_child_memory() && end.zip(length).is_some_and(|(end, length)| end <= length)
    };
    lent.tensors().unwrap_or_default().iter().any(has_all)
        || lent.scalars().unwrap_or_default().contains(&address.raw())
}

/// Checks that a range of a tensor is in no other one.
fn check_owner(
    lent: &ChipStorageTaskArgs,
    what: &'static str,
    index: usize,
    (first, offset): (usize, u64),
    bytes: usize,
) -> Result<(), RecordError> {
    let tensors = lent.tensors().unwrap_or_default();
    let Some(own) = tensors.get(first).and_then(host_range) else { return Ok(()) };
    let start = own.start + offset;
    // CAST: usize is 64 bits on the supported targets.
    let end = start + bytes as u64;
    let shares = |(second, memory): &(usize, std::ops::Range<u64>)| {
        *second != first && start < memory.end && memory.start < end
    };
    let all = tensors.iter().enumerate();
    let mut memories = all.filter_map(|(at, tensor)| Some((at, host_range(tensor)?)));
    match memories.find(shares) {
        None => Ok(()),
        Some((second, _)) => Err(RecordError::SharedMemory { what, index, first, second }),
    }
}

fn part(bytes: &[u8], offset: u64, count: usize) -> Option<&[u8]> {
    bytes.get(range(offset, count)?)
}

fn range(offset: u64, bytes: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DataType;

    /// Tensors of bytes at these addresses, on the host but for the last.
    fn lent(tensors: &[(u64, u32)]) -> ChipStorageTaskArgs {
        let mut record = ChipStorageTaskArgs::new();
        for (index, (data, bytes)) in tensors.iter().enumerate() {
            let child_memory = u8::from(index + 1 == tensors.len());
            let dtype = DataType::Uint8 as u8;
            let mut tensor = ContinuousTensor {
                data: *data,
                ndims: 1,
                dtype,
                child_memory,
                ..Default::default()
            };
            tensor.shapes[0] = *bytes;
            record.push_tensor(tensor).unwrap();
        }
        record
    }

    #[test]
    fn memory_belongs_to_a_tensor_that_alone_has_it() {
        // The second lies in the first, the third touches the first's end, the device's is nobody's.
        let lent = lent(&[(1000, 100), (1040, 20), (1100, 50), (1000, 500)]);
        let owner = |tensor, offset, bytes| {
            check_owner(&lent, "output", 5, (tensor, offset), bytes).map_err(|error| match error {
                RecordError::SharedMemory { what: "output", index: 5, first, second } => {
                    (first, second)
                }
                other => panic!("{other}"),
            })
        };
        assert_eq!(owner(0, 0, 40), Ok(()));
        assert_eq!(owner(0, 0, 41), Err((0, 1)));
        assert_eq!(owner(0, 59, 41), Err((0, 1)));
        assert_eq!(owner(0, 60, 40), Ok(()));
        assert_eq!(owner(1, 0, 20), Err((1, 0)));
        assert_eq!(owner(2, 0, 50), Ok(()));
    }

    #[test]
    fn what_arguments_name_of_the_users_memory_is_within_a_device_tensor_or_at_a_scalar() {
        let mut lent = lent(&[(1000, 100), (5000, 64)]);
        lent.push_scalar(9000).unwrap();
        let named = |address, bytes| is_named(&lent, (DeviceAddr::new(address), bytes));
        assert!(named(5000, 64) && named(5063, 1) && named(9000, 1 << 20));
        assert!(!named(5000, 65) && !named(4999, 1) && !named(5064, 1), "beyond the tensor");
        assert!(!named(1000, 4) && !named(9001, 1), "on the host, and behind the address");
    }

    #[test]
    fn ranges_that_no_memory_has_are_no_parts() {
        assert_eq!(part(&[1, 2, 3], 1, 2), Some(&[2, 3][..]));
        assert_eq!(part(&[1, 2, 3], 2, 2), None);
        assert_eq!(part(&[1, 2, 3], u64::MAX, 2), None);
    }
}
