//! Where the run record of a device is: in its own memory, or in memory that another process maps and fills it in.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use protocol::{RuntimeBody, RuntimeRecord};

/// A run record in its place.
///
/// # Invariants
///
/// A shared one is valid for reads and writes as long as the value is there, and nobody in this process uses it
/// but through it.
pub enum RecordPlace<R> {
    /// In memory of its own.
    Own(Box<R>),
    /// In memory that another process maps.
    Shared(NonNull<R>),
}

// SAFETY: by the invariant it is the record and nothing else, as a box would be.
unsafe impl<R: Send> Send for RecordPlace<R> {}

impl<R: RuntimeRecord> RecordPlace<R> {
    /// A record that names no callable, in memory of its own.
    #[must_use]
    pub fn own() -> Self {
        let mut record = Box::new(R::new_zeroed());
        *record.body_mut() = RuntimeBody::default();
        Self::Own(record)
    }

    /// A record in memory that another process maps; it names no callable afterwards.
    ///
    /// # Safety
    ///
    /// `place` is aligned, holds zeros or an earlier record, stays valid for reads and writes as long as the
    /// device may use it, and nobody else in this process uses it. The other process writes to it between runs only.
    #[must_use]
    pub unsafe fn shared(place: NonNull<R>) -> Self {
        // SAFETY: by the contract; any bytes are a record.
        unsafe { *(*place.as_ptr()).body_mut() = RuntimeBody::default() };
        Self::Shared(place)
    }
}

impl<R> Deref for RecordPlace<R> {
    type Target = R;

    fn deref(&self) -> &R {
        match self {
            Self::Own(record) => record,
            // SAFETY: by the invariant.
            Self::Shared(place) => unsafe { place.as_ref() },
        }
    }
}

impl<R> DerefMut for RecordPlace<R> {
    fn deref_mut(&mut self) -> &mut R {
        match self {
            Self::Own(record) => record,
            // SAFETY: by the invariant; exclusive as the value is.
            Self::Shared(place) => unsafe { place.as_mut() },
        }
    }
}
