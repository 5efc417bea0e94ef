//! Why a recorded run was not done again.

use std::fmt;

use protocol::{ChipStorageTaskArgs, ContinuousTensor, DeviceAddr};

use super::RunError;
use crate::graph::GraphDifference;

/// Why a recorded run was not done again. The caller's outputs are untouched, and the next replay
/// works.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Another number of arguments.
    #[error("{given} {what} arguments are given, and {recorded} were recorded")]
    Count {
        /// "tensor" or "scalar".
        what: &'static str,
        /// As recorded.
        recorded: usize,
        /// As given.
        given: usize,
    },
    /// A tensor of another shape or type, or on the other side.
    #[error("tensor {index} is {given}, and {recorded} was recorded; record anew, or rebuild")]
    Shape {
        /// Its position.
        index: usize,
        /// As recorded.
        recorded: TensorShape,
        /// As given.
        given: TensorShape,
    },
    /// A device tensor somewhere else. Its address is in the graph, in a way that nobody knows.
    #[error(
        "tensor {index} is at {given} on the device, and the one at {recorded} was recorded; \
         rebuild, which takes other addresses"
    )]
    DeviceTensor {
        /// Its position.
        index: usize,
        /// As recorded.
        recorded: DeviceAddr,
        /// As given.
        given: DeviceAddr,
    },
    /// Another scalar. It is in the graph, in a way that nobody knows.
    #[error(
        "scalar {index} is {given:#x}, and {recorded:#x} was recorded; rebuild, which takes other \
         scalars"
    )]
    Scalar {
        /// Its position among the scalars.
        index: usize,
        /// Its bits as recorded.
        recorded: u64,
        /// Its bits as given.
        given: u64,
    },
    /// The orchestration was called again and built a graph of another structure. Nothing ran.
    #[error(
        "the orchestration builds another graph than the recorded one, which is the known one: {0}"
    )]
    Graph(GraphDifference),
    /// The run did not succeed.
    #[error(transparent)]
    Run(RunError),
}

/// Type, shape and side of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorShape(ContinuousTensor);

impl TensorShape {
    /// Elements per dimension.
    #[must_use]
    pub fn dimensions(&self) -> &[u32] {
        // CAST: u32 to usize is lossless.
        self.0.shapes.get(..self.0.ndims as usize).unwrap_or(&self.0.shapes)
    }

    /// Whether it is device memory.
    #[must_use]
    pub const fn is_on_device(&self) -> bool {
        self.0.child_memory != 0
    }

    fn of(tensor: &ContinuousTensor) -> Self {
        Self(ContinuousTensor { data: 0, ..*tensor })
    }
}

impl fmt::Display for TensorShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = self.0.data_type().map_or("of unknown type", |dtype| dtype.name());
        let side = if self.is_on_device() { "device" } else { "host" };
        write!(f, "{dtype}{:?} on the {side}", self.dimensions())
    }
}

impl From<RunError> for ReplayError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotAsRecorded(error) => *error,
            error => Self::Run(error),
        }
    }
}

/// Checks that arguments are those that were recorded, but for what host tensors hold.
///
/// # Errors
///
/// The first difference, as [`ReplayError`].
pub(super) fn check_arguments(
    recorded: &ChipStorageTaskArgs,
    given: &ChipStorageTaskArgs,
) -> Result<(), ReplayError> {
    // The counts are those of arguments of ours.
    let (old, new) = (recorded.tensors().unwrap_or_default(), given.tensors().unwrap_or_default());
    check_count("tensor", old.len(), new.len())?;
    for (index, (old, new)) in old.iter().zip(new).enumerate() {
        let (recorded, given) = (TensorShape::of(old), TensorShape::of(new));
        if recorded != given {
            return Err(ReplayError::Shape { index, recorded, given });
        }
        // What the record has of a host tensor is no address.
        if given.is_on_device() && old.data != new.data {
            let (recorded, given) = (DeviceAddr::new(old.data), DeviceAddr::new(new.data));
            return Err(ReplayError::DeviceTensor { index, recorded, given });
        }
    }
    let (old, new) = (recorded.scalars().unwrap_or_default(), given.scalars().unwrap_or_default());
    check_count("scalar", old.len(), new.len())?;
    let mut pairs = old.iter().zip(new).enumerate();
    match pairs.find(|(_, (old, new))| old != new) {
        None => Ok(()),
        Some((index, (recorded, given))) => {
            Err(ReplayError::Scalar { index, recorded: *recorded, given: *given })
        }
    }
}

fn check_count(what: &'static str, recorded: usize, given: usize) -> Result<(), ReplayError> {
    if recorded == given { Ok(()) } else { Err(ReplayError::Count { what, recorded, given }) }
}
