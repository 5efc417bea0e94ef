//! Why a run cannot be recorded.

/// Why a run cannot be done again without its orchestration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The orchestration runs on the device, where nobody sees what it does.
    #[error(
        "the callable is for trb, whose orchestration runs on the device; what can be recorded is a \
         run of hbg"
    )]
    OfTrb,
    /// An output that no argument of a replay could take.
    #[error(
        "output {index} of {bytes} bytes goes to memory that is not within one tensor argument; \
         record it in a tensor"
    )]
    OutputElsewhere {
        /// Its place in the order in which they were recorded.
        index: usize,
        /// Its size.
        bytes: usize,
    },
    /// A copy of memory that is a tensor's in part only.
    #[error(
        "copy {index} of {bytes} bytes is of memory of which a part is tensor {tensor}'s, and not all \
         of it; copy each tensor for itself"
    )]
    CopyAcross {
        /// Its place in the order of the copies.
        index: usize,
        /// Its size.
        bytes: usize,
        /// The first tensor that has a part of it.
        tensor: usize,
    },
    /// Memory that is more than one tensor's: nobody can say of which it would be in a replay.
    #[error(
        "{what} {index} is in tensor {first} and in tensor {second}, which share host memory; pass \
         tensors that do not"
    )]
    SharedMemory {
        /// "copy" or "output".
        what: &'static str,
        /// Its place in the order of copies or of outputs.
        index: usize,
        /// A tensor that has it.
        first: usize,
        /// Another one.
        second: usize,
    },
}
