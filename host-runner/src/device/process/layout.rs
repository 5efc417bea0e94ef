//! The memory through which a device's two processes talk: what is where in it.
//!
//! ```text
//!  control file │ crash record │ log records │ lane 0: runs │ lane 1 … : everything else │ run record of the chip │
//!  memory file  │ device memory ─────────────────────────────────────────────────────────────────── │
//! ```
//!
//! All of it is atomic words or bytes, so whatever the other process writes, it is a value here. Both processes are
//! of one build; [`LAYOUT`] tells where they are not.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use protocol::Chip;

use super::crash_record::CrashRecord;
use super::lane::Lane;
use super::record_lane::RecordLane;
use crate::device::shared_file::SharedFile;

/// Lanes. The first one is for runs.
pub(super) const LANES: usize = 8;
/// Bytes of a message that has no fixed size.
pub(super) const PAYLOAD_BYTES: usize = 512 << 10;

/// What tells this layout from that of another build, but for sizes.
pub(super) const LAYOUT: u32 = 2;

/// What the control file begins with. Zeros are valid: nothing has been asked.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(super) struct Control {
    /// [`LAYOUT`] of the host.
    pub(super) layout: AtomicU32,
    /// Bytes of this structure at the host.
    pub(super) bytes: AtomicU32,
    /// Why the program ended, if it is by a signal of its own making.
    pub(super) crash: CrashRecord,
    /// What it says in the log.
    pub(super) records: RecordLane,
    /// Where requests and answers are.
    pub(super) lanes: [Lane; LANES],
}

/// Bytes of a message.
#[repr(C, align(64))]
pub(super) struct Payload(pub(super) UnsafeCell<[u8; PAYLOAD_BYTES]>);

// SAFETY: bytes are copied in and out by whose turn it is in the lane, by raw pointers only.
unsafe impl Sync for Payload {}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payload")
    }
}

/// The control file, mapped.
#[derive(Debug)]
pub(super) struct ControlFile(SharedFile);

impl ControlFile {
    /// Bytes of the file for a chip.
    pub(super) const fn bytes_for<C: Chip>() -> usize {
        size_of::<Control>() + size_of::<C::Runtime>().next_multiple_of(4096)
    }

    /// Takes a file; `None` where it is too small for this layout.
    pub(super) fn new(file: SharedFile) -> Option<Self> {
        (file.byte_len() >= size_of::<Control>()).then_some(Self(file))
    }

    /// The file.
    pub(super) fn file(&self) -> &SharedFile {
        &self.0
    }

    /// What it begins with.
    pub(super) fn control(&self) -> &Control {
        // SAFETY: mapped on a page, large enough by `new`, as long as this value is there; all of it is atomic words
        // and cells, of which every pattern is one.
        unsafe { self.0.start().cast::<Control>().as_ref() }
    }

    /// The place of the run record of a chip; `None` where the file is too small for it.
    pub(super) fn record<C: Chip>(&self) -> Option<NonNull<C::Runtime>> {
        const { assert!(align_of::<C::Runtime>() <= 4096, "the record begins on a page") };
        let fits = self.0.byte_len() >= Self::bytes_for::<C>();
        // SAFETY: inside the mapping, as just checked.
        fits.then(|| unsafe { self.0.start().add(size_of::<Control>()) }.cast())
    }
}
