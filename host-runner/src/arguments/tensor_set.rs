//! Arguments as a run sees them, whoever owns their memory.

use protocol::{ArgDirection, ChipStorageTaskArgs, DeviceAddr};

/// Where a tensor is.
pub(crate) enum Place<'a> {
    /// Host memory, and what the caller says of it; `None` is for the callable to declare.
    Host(&'a [u8], Option<ArgDirection>),
    /// Device memory.
    Device(DeviceAddr),
}

/// The arguments of one run.
pub(crate) trait TensorSet {
    /// What the device gets, but for the addresses of host tensors.
    fn record(&self) -> &ChipStorageTaskArgs;

    /// The tensor at `index`; `None` beyond the last one.
    fn place(&self, index: usize) -> Option<Place<'_>>;

    /// Where the tensor at `index` is written back to, if it is host memory that may be written.
    fn writable(&mut self, index: usize) -> Option<&mut [u8]>;
}
