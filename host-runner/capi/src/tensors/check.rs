//! One tensor of a client: whether it makes sense, and what may be done with its memory.

use std::ffi::c_void;
use std::fmt::Display;

use host_runner::runtime_name::RuntimeName;
use protocol::{ArgDirection, ContinuousTensor, DataType, DeviceAddr};

use super::{CopyRule, Place, Shape, Use};
use crate::client_memory::{self, Access};
use crate::failure::Failure;

/// Checks one tensor.
pub(super) fn check_tensor(
    what: impl Display + Copy,
    tensor: &ContinuousTensor,
    declared: Option<ArgDirection>,
    rule: CopyRule,
    runtime: RuntimeName,
) -> Result<(Place, DataType, Shape), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::refused(format!("{what}: {error}"));
    let bytes = tensor.byte_len().map_err(|error| refused(&error))?;
    let dtype = tensor.data_type().map_err(|error| refused(&error))?;
    // CAST: at most 5, which the size has been computed with.
    let mut shape = Shape { sizes: tensor.shapes, dimensions: tensor.ndims as usize };
    if shape.dimensions == 0 {
        // No dimensions are one element (spec callable §1.3), and so is one dimension of 1.
        (shape.sizes[0], shape.dimensions) = (1, 1);
    }
    if tensor.is_child_memory() {
        return Ok((Place::Device(DeviceAddr::new(tensor.data)), dtype, shape));
    }
    let too_large = |_| refused(&"it is larger than this machine's memory");
    let bytes = usize::try_from(bytes).map_err(too_large)?;
    let start = usize::try_from(tensor.data).map_err(too_large)?;
    let address = std::ptr::with_exposed_provenance::<c_void>(start);
    let check = |access| client_memory::check(what, address, bytes, access);
    let (wanted, may_be_read_only) = match (rule, declared) {
        (CopyRule::Declared, Some(ArgDirection::In)) => (Use::Read, true),
        (CopyRule::Declared, Some(ArgDirection::Out)) => (Use::Fill, false),
        // Copying back what is only read changes nothing, so where it cannot be written to, as a
        // mapped file of weights, it need not be.
        (CopyRule::BothWays, Some(ArgDirection::In)) => (Use::Change, true),
        // Of hbg only outputs are written, and one in such memory is refused when it is recorded.
        _ => (Use::Change, runtime == RuntimeName::Hbg),
    };
    let use_ = match wanted {
        Use::Fill | Use::Change => match check(Access::Write) {
            Err(_) if may_be_read_only => Use::Read,
            checked => checked.map(|()| wanted)?,
        },
        Use::Read => Use::Read,
    };
    if use_ == Use::Read {
        check(Access::Read)?;
    }
    // No overflow: the range is memory. An empty tensor has no memory, and is refused later.
    let memory = start..start.saturating_add(bytes);
    let (copy, before) = (None, None);
    Ok((Place::Host { memory, use_, copy, before }, dtype, shape))
}
