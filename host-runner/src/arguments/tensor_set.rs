//! Arguments as a run sees them, whoever owns their memory.

use std::fmt;
use std::ops::Range;

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

    /// Notes which outputs an orchestration on the host has recorded in a run that has succeeded: tensors,
    /// and bytes of them. Whoever lends memory of somebody else's has them there already.
    fn note_outputs(&mut self, _outputs: &mut dyn Iterator<Item = (usize, Range<usize>)>) {}
}

/// Shows arguments by shape, type and place. Their contents may be of any size.
pub(super) fn show(
    arguments: &dyn TensorSet,
    name: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let record = arguments.record();
    let mut list = f.debug_struct(name);
    for (index, tensor) in record.tensors().unwrap_or_default().iter().enumerate() {
        let dtype = tensor.data_type().map_or("unknown", |dtype| dtype.name());
        let dimensions = usize::try_from(tensor.ndims).unwrap_or(0).min(tensor.shapes.len());
        let shape = &tensor.shapes[..dimensions];
        let field = format!("tensor{index}");
        match arguments.place(index) {
            Some(Place::Host(bytes, direction)) => {
                let direction = direction.map_or("declared", |direction| direction.name());
                let length = bytes.len();
                list.field(&field, &format_args!("{direction} {dtype}{shape:?}, {length} bytes"))
            }
            Some(Place::Device(at)) => {
                list.field(&field, &format_args!("{dtype}{shape:?} on the device at {at}"))
            }
            None => break,
        };
    }
    list.field("scalars", &record.scalars().unwrap_or_default()).finish()
}
