//! What a set of slots is like: how images get into executable memory, and how much stays warm.
//!
//! It exists apart because the platform decides it and everything below only obeys.

use core::ffi::CStr;

/// Alignment of every slot: the largest a segment may ask for, and the largest page size.
pub(super) const SLOT_ALIGN: usize = 64 << 10;

/// Bytes without any access between two slots. As large as the largest page.
pub(super) const GUARD_BYTES: usize = 64 << 10;

/// Most bytes a slot may have: offsets in it are 32 bits.
const SLOT_BYTES_MAX: usize = 1 << 30;

/// How an image gets into executable memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotMode {
    /// The first of the three that this system allows, in the order below.
    Auto,
    /// Memory of a file that has no name: code sees it with final rights alone, the loader writes
    /// to it in another way ([`WriterView`]). Needs `memfd_create` and executable shared mappings.
    DualMapped,
    /// Private memory at one address: writable while it is loaded, then sealed.
    Anonymous,
    /// Segments are mapped from a file that exists only while it is being mapped.
    Staged,
}

/// How the loader writes to code in [`SlotMode::DualMapped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WriterView {
    /// Through the file, with one call a load, about 2 µs: no address of code is writable, not even
    /// while it is loaded. Each of the first 64 slots that was used has a descriptor open, closed on
    /// `exec`; the others are cold from one image to the next.
    #[default]
    Hidden,
    /// Through a second view that stays writable. Loading the layout a slot had before takes no
    /// system call; but whoever can write to any address can then change code. For shared objects
    /// from a trusted source.
    Kept,
}

/// Rights of code that was taken out of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReleasedRights {
    /// As they were, so that an image with the same layout needs no change of rights. A stray call
    /// runs old code until the slot is used again.
    #[default]
    Stay,
    /// None: a stray call faults. One change of rights to take them, and all of a layout's to give
    /// them to the next image.
    Revoked,
}

/// What a set of slots is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotConfig {
    /// How images get into executable memory.
    pub mode: SlotMode,
    /// How the loader writes to code, where that is another way than code reads it.
    pub writer: WriterView,
    /// Address space of one slot: a multiple of 64 KiB, at most 1 GiB. Only pages that an image
    /// has used cost memory.
    pub slot_bytes: usize,
    /// Memory that a released slot keeps for its next image; the rest goes back to the system.
    pub retain_bytes: usize,
    /// Rights of code that was taken out of its slot.
    pub released: ReleasedRights,
    /// Folders for the files of [`SlotMode::Staged`]; the first that works is taken. Absolute.
    pub folders: &'static [&'static CStr],
}

impl SlotConfig {
    /// The best mode the system allows, no writable view of code, 16 MiB a slot (the span limit of
    /// [`PlanLimits`](aicpu_executor::loader::PlanLimits)), 1 MiB kept warm, no folders.
    pub const DEFAULT: Self = Self {
        mode: SlotMode::Auto,
        writer: WriterView::Hidden,
        slot_bytes: 16 << 20,
        retain_bytes: 1 << 20,
        released: ReleasedRights::Stay,
        folders: &[],
    };

    /// Returns the bytes that a released slot keeps, in whole pages.
    pub(super) fn retained(&self) -> usize {
        let page = rustix::param::page_size();
        self.retain_bytes.saturating_add(page - 1) / page * page
    }

    /// Tells whether slots can have this size.
    pub(super) const fn is_valid(&self) -> bool {
        self.slot_bytes > 0
            && self.slot_bytes <= SLOT_BYTES_MAX
            && self.slot_bytes.is_multiple_of(SLOT_ALIGN)
    }
}

impl Default for SlotConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
