//! Copies of the client's tensors, and what of them goes back.

use std::ops::Range;
use std::sync::Arc;

use host_runner::arguments::OwnedData;
use protocol::DeviceAddr;

use super::Use;
use crate::client_memory;
use crate::failure::Failure;

/// In the place of data that was taken.
pub(super) const NONE: OwnedData = OwnedData::Device(DeviceAddr::NULL);

/// The memory of a tensor.
///
/// # Safety
///
/// Nobody changes or unmaps it as long as the bytes are used.
pub(super) unsafe fn look<'a>(memory: &Range<usize>) -> Result<&'a [u8], Failure> {
    let start = std::ptr::with_exposed_provenance(memory.start);
    // SAFETY: as the caller promises.
    unsafe { client_memory::look("a tensor", start, memory.len()) }
}

/// A copy of a tensor for its use, in the memory of an earlier one where that fits.
pub(super) fn copied(
    bytes: &[u8],
    use_: Use,
    spare: Option<OwnedData>,
) -> Result<OwnedData, Failure> {
    let spare = spare.unwrap_or(NONE);
    if use_ == Use::Read {
        let mut shared = match spare {
            OwnedData::In(shared) if shared.len() == bytes.len() => shared,
            _ => return Ok(OwnedData::In(Arc::from(duplicate(bytes)?))),
        };
        return Ok(OwnedData::In(match Arc::get_mut(&mut shared) {
            Some(own) => {
                own.copy_from_slice(bytes);
                shared
            }
            None => Arc::from(duplicate(bytes)?),
        }));
    }
    let mut own = match spare {
        OwnedData::Out(own) | OwnedData::InOut(own) => own,
        _ => Vec::new(),
    };
    own.clear();
    reserve(&mut own, bytes.len())?;
    own.extend_from_slice(bytes);
    Ok(if use_ == Use::Fill { OwnedData::Out(own) } else { OwnedData::InOut(own) })
}

/// The same bytes once more.
pub(super) fn duplicate(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut again = Vec::new();
    reserve(&mut again, bytes.len())?;
    again.extend_from_slice(bytes);
    Ok(again)
}

/// Makes room in an empty vector.
fn reserve(vector: &mut Vec<u8>, bytes: usize) -> Result<(), Failure> {
    let room = vector.try_reserve_exact(bytes);
    room.map_err(|_| Failure::refused(format!("no memory for a copy of {bytes} bytes")))
}

/// Writes bytes to the memory of a tensor: all of them, or those that are not as before.
///
/// # Safety
///
/// The memory can be written to, nothing refers to it, and it has the length of the bytes.
pub(super) unsafe fn put(memory: &Range<usize>, before: Option<&[u8]>, after: &[u8]) {
    let start = std::ptr::with_exposed_provenance_mut::<u8>(memory.start);
    let Some(before) = before else {
        // SAFETY: as the caller promises.
        return unsafe { start.copy_from_nonoverlapping(after.as_ptr(), after.len()) };
    };
    for (at, (old, new)) in before.iter().zip(after).enumerate() {
        if old != new {
            // SAFETY: as the caller promises; `at` is below the length.
            unsafe { start.add(at).write(*new) };
        }
    }
}
