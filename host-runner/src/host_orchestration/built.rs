//! What an orchestration has left behind, apart from its graph.

use std::ops::Range;

use protocol::{ChipStorageTaskArgs, ContinuousTensor, DeviceAddr};

use crate::device::{Device, MemoryError};

/// Whether a run is only built, or described in a way that serves for other arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuildMode {
    /// For this run.
    #[default]
    Run,
    /// To be carried out again: [`Built::recording`] says what was copied, and where outputs go.
    Record,
}

/// What comes with the graph of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What to copy back when all tasks are done, in the order in which it was recorded. None is empty.
    pub outputs: Vec<Output>,
    /// What was copied to the device.
    pub copies: Copies,
    /// How to do the same with other arguments; only with [`BuildMode::Record`].
    pub recording: Option<Recording>,
}

/// How much was copied to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copies {
    /// Calls, but for those of no bytes.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// One output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Where it goes: an address in the host's memory, as the orchestration gave it.
    pub host: usize,
    /// Where it is on the device: memory of the run, or of the user.
    pub device: DeviceAddr,
    /// Its size, not zero.
    pub bytes: usize,
}

/// Where the host's sides of copies and outputs were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// Copies to the device, in their order.
    pub copies: Vec<RecordedCopy>,
    /// Where each of [`Built::outputs`] goes.
    pub targets: Vec<OutputTarget>,
}

/// One copy to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCopy {
    /// Where it went.
    pub device: DeviceAddr,
    /// Its size, not zero.
    pub bytes: usize,
    /// Where it came from.
    pub source: CopySource,
}

/// Where a copy came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A tensor argument.
    Argument {
        /// Its position.
        tensor: usize,
        /// Bytes into it.
        offset: u64,
    },
    /// Memory of the orchestration's own, with these bytes at that time.
    Bytes(Box<[u8]>),
    /// Memory of which a part belongs to a tensor argument, and not all of it.
    Partly {
        /// The first such tensor.
        tensor: usize,
    },
}

/// Where an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputTarget {
    /// To a tensor argument.
    Argument {
        /// Its position.
        tensor: usize,
        /// Bytes into it.
        offset: u64,
    },
    /// To memory of the orchestration's own.
    Elsewhere,
}

impl Built {
    /// Copies the outputs back.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; some of the outputs may be written then.
    ///
    /// # Safety
    ///
    /// The host memory of every output may be written and is used by nobody else: it is what the
    /// orchestration named, and must have stayed since. No run uses the device memory.
    pub unsafe fn copy_back(&self, device: &dyn Device) -> Result<(), MemoryError> {
        for output in &self.outputs {
            let host = std::ptr::with_exposed_provenance_mut::<u8>(output.host);
            // SAFETY: the caller's promise; the range was checked when it was recorded.
            let host = unsafe { std::slice::from_raw_parts_mut(host, output.bytes) };
            device.copy_out(host, output.device)?;
        }
        Ok(())
    }
}

/// The first host tensor that has a part of the range in it, which is not empty.
pub(super) fn touched_argument(
    arguments: &ChipStorageTaskArgs,
    host: usize,
    bytes: usize,
) -> Option<usize> {
    let mut tensors = arguments.tensors().unwrap_or_default().iter();
    tensors.position(|tensor| {
        let Some(memory) = host_range(tensor) else { return false };
        // CAST: (both) usize is 64 bits on the supported targets. No object wraps.
        let start = host as u64;
        start < memory.end && memory.start < start.saturating_add(bytes as u64)
    })
}

/// The memory of a tensor that the host has.
pub(crate) fn host_range(tensor: &ContinuousTensor) -> Option<Range<u64>> {
    if tensor.child_memory != 0 {
        return None;
    }
    Some(tensor.data..tensor.data.checked_add(tensor.byte_len().ok()?)?)
}

/// The first host tensor that has the whole range in it: its position, and bytes into it.
pub(crate) fn find_argument(
    arguments: &ChipStorageTaskArgs,
    host: usize,
    bytes: usize,
) -> Option<(usize, u64)> {
    let tensors = arguments.tensors().unwrap_or_default().iter().enumerate();
    tensors.filter(|(_, tensor)| tensor.child_memory == 0).find_map(|(index, tensor)| {
        // CAST: (both) usize is 64 bits on the supported targets.
        let offset = (host as u64).checked_sub(tensor.data)?;
        let end = offset.checked_add(bytes as u64)?;
        (end <= tensor.byte_len().ok()?).then_some((index, offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DataType;

    #[test]
    fn a_range_touches_the_first_host_tensor_that_has_a_byte_of_it() {
        let mut arguments = ChipStorageTaskArgs::new();
        for (data, child_memory) in [(64, 1), (64, 0), (80, 0)] {
            let dtype = DataType::Uint8 as u8;
            let mut tensor =
                ContinuousTensor { data, ndims: 1, dtype, child_memory, ..Default::default() };
            tensor.shapes[0] = 16;
            arguments.push_tensor(tensor).unwrap();
        }
        let touched = |host, bytes| touched_argument(&arguments, host, bytes);
        assert_eq!([touched(60, 4), touched(96, 8)], [None, None]);
        assert_eq!([touched(60, 5), touched(70, 100)], [Some(1), Some(1)]);
        assert_eq!([touched(80, 1), touched(95, 1)], [Some(2), Some(2)]);
    }
}
