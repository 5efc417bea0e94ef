//! Copies of arguments for runs in flight, in memory that is used again.
//!
//! ```text
//!  snapshot ──▶ run ──▶ result ──▶ dropped by whoever has it ──▶ kept ──▶ snapshot
//! ```

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ChipStorageTaskArgs, DeviceAddr};

use super::OwnedData;

/// How many copies are kept.
const KEPT_MAX: usize = 64;

/// Bytes of the copies that are kept, together.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Why a drop is the only one that finds nothing.
const THERE: &str = "arguments are there until they are dropped";

/// What owned arguments are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) data: Vec<OwnedData>,
    pub(super) record: ChipStorageTaskArgs,
}

/// Copies of the same arguments whose runs are over. Who takes one and gives one back allocates
/// nothing.
#[derive(Default)]
pub(crate) struct Spares(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Boxed, as it goes in and out by its address.
    #[expect(clippy::vec_box, reason = "a copy is 3.6 KB, and stays where it is")]
    copies: Vec<Box<Packed>>,
    bytes: usize,
}

/// Arguments, and where their memory goes when they are dropped.
pub(super) struct Held {
    /// There until the drop.
    packed: Option<Box<Packed>>,
    home: Option<Arc<Spares>>,
}

impl Packed {
    /// Becomes equal to others, mostly by copying what both have the same shape of.
    fn copy_from(&mut self, from: &Self) {
        let (to, own) = (&mut self.data, from.data.len());
        to.truncate(own);
        for (to, from) in to.iter_mut().zip(&from.data) {
            copy_data(to, from);
        }
        let more = from.data.get(to.len()..).unwrap_or_default();
        to.extend_from_slice(more);
        let (to, from) = (&mut self.record, &from.record);
        // What is beyond the counts of both is zero in both.
        let used = |to: i32, from: i32, slots: usize| {
            usize::try_from(to.max(from)).map_or(slots, |used| used.min(slots))
        };
        let tensors = used(to.tensor_count, from.tensor_count, to.tensors.len());
        to.tensors[..tensors].copy_from_slice(&from.tensors[..tensors]);
        let scalars = used(to.scalar_count, from.scalar_count, to.scalars.len());
        to.scalars[..scalars].copy_from_slice(&from.scalars[..scalars]);
        (to.tensor_count, to.scalar_count) = (from.tensor_count, from.scalar_count);
    }

    /// Bytes that only it holds: what is only read is shared.
    fn own_bytes(&self) -> usize {
        let buffers = self.data.iter().map(|data| match data {
            OwnedData::Out(bytes) | OwnedData::InOut(bytes) | OwnedData::Declared(bytes) => {
                bytes.capacity()
            }
            OwnedData::In(_) | OwnedData::Device(_) => 0,
        });
        size_of::<Self>() + buffers.sum::<usize>()
    }

    /// Lets go of what it shares with others: a copy that is kept keeps nothing of theirs.
    fn let_go(&mut self) {
        for data in &mut self.data {
            if matches!(data, OwnedData::In(_)) {
                *data = OwnedData::Device(DeviceAddr::NULL);
            }
        }
    }
}

/// Makes `to` equal to `from`, in its own memory where that fits.
fn copy_data(to: &mut OwnedData, from: &OwnedData) {
    use OwnedData::{Declared, InOut, Out};
    match (to, from) {
        (Out(to), Out(from)) | (InOut(to), InOut(from)) | (Declared(to), Declared(from)) => {
            to.clone_from(from);
        }
        (to, from) => *to = from.clone(),
    }
}

impl Spares {
    fn take(&self) -> Option<Box<Packed>> {
        let mut kept = self.lock();
        let packed = kept.copies.pop()?;
        kept.bytes -= packed.own_bytes();
        Some(packed)
    }

    /// Keeps a copy, or gives it back where there are enough.
    fn keep(&self, mut packed: Box<Packed>) -> Option<Box<Packed>> {
        packed.let_go();
        let bytes = packed.own_bytes();
        let mut kept = self.lock();
        if kept.copies.len() >= KEPT_MAX || kept.bytes + bytes > KEPT_BYTES_MAX {
            return Some(packed);
        }
        kept.bytes += bytes;
        kept.copies.push(packed);
        None
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { copies, bytes } = &*self.lock();
        f.debug_struct("Spares").field("kept", &copies.len()).field("bytes", bytes).finish()
    }
}

impl Held {
    /// A copy that goes to `spares` when it is dropped, in the memory of one that did.
    pub(super) fn snapshot(&self, spares: &Arc<Spares>) -> Self {
        let packed = match spares.take() {
            Some(mut packed) => {
                packed.copy_from(self);
                packed
            }
            None => Box::new(Packed::clone(self)),
        };
        Self { packed: Some(packed), home: Some(Arc::clone(spares)) }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self { packed: Some(Box::default()), home: None }
    }
}

impl Clone for Held {
    /// A copy of its own, wherever this one goes.
    fn clone(&self) -> Self {
        Self { packed: self.packed.clone(), home: None }
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Held {}

impl Deref for Held {
    type Target = Packed;

    fn deref(&self) -> &Packed {
        self.packed.as_deref().expect(THERE)
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Packed {
        self.packed.as_deref_mut().expect(THERE)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(home), Some(packed)) = (&self.home, self.packed.take()) {
            // What is too much goes here, without the lock.
            drop(home.keep(packed));
        }
    }
}

#[cfg(test)]
mod tests;
