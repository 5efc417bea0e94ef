//! One slot: the order in which an image is placed, patched, sealed and taken away.
//!
//! It exists apart because that order, and which bytes may be patched, are the same however the
//! memory is mapped:
//!
//! ```text
//!  Empty ── place ──▶ Placed ── writable … ──▶ Placed ── seal ──▶ Sealed ── release ──▶ Empty
//!                        └───────────────────── release ─────────────────────────────▶ Empty
//! ```

use core::ops::Range;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Plan, Protection};
use rustix::param::page_size;

use super::anonymous::Anonymous;
use super::config::{SlotConfig, SlotMode};
use super::dual_mapped::DualMapped;
use super::failure::{failed, refused, warn};
use super::image_instance::ImageInstance;
use super::mapped::Mapped;
use super::reservation::Reservation;
use super::rights::Rights;
use super::segment_mapping::MapPages;
use super::staged::Staged;
use super::written::Written;

/// Segments of an image that can be patched.
type WritableSegments = heapless::Vec<(u32, u32), 16>;

/// Memory for one image at a time. Its address space goes with it.
#[derive(Debug)]
pub struct Slot {
    backing: Backing,
    slot_bytes: usize,
    phase: Phase,
    lent: Lent,
}

/// An image in memory of its own, lent to the slot.
#[derive(Debug, Default)]
enum Lent {
    #[default]
    Nothing,
    /// For the image that is placed next, if it is of that.
    Offered(ImageInstance),
    /// It holds the image that is in the slot.
    Used(ImageInstance),
    /// The image was released, or another one was placed.
    Returned(ImageInstance),
}

/// How the memory is mapped.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "all slots are of one kind, and nothing allocates")]
pub(super) enum Backing {
    /// It is not: why.
    Unavailable(MemoryError),
    DualMapped(DualMapped),
    Written(Written),
    Anonymous(Anonymous),
    Staged(Staged),
    /// For [`FileSlot`](super::FileSlot), which brings the file.
    Mapped(Mapped),
}

#[derive(Debug)]
enum Phase {
    Empty,
    /// Bytes of the image, and its writable segments as offset and end.
    Placed {
        span: usize,
        writable: WritableSegments,
    },
    Sealed,
}

impl Slot {
    /// Reserves one slot for itself, outside any arena.
    ///
    /// # Errors
    ///
    /// The system does not give the address space, or none of the allowed modes works.
    pub fn standalone(config: SlotConfig) -> Result<Self, MemoryError> {
        let mut reservation = Reservation::new(config, &[1])?;
        Ok(reservation.next_slot())
    }

    /// A slot over reserved memory, or one that always answers with an error.
    pub(super) const fn new(backing: Backing, slot_bytes: usize) -> Self {
        Self { backing, slot_bytes, phase: Phase::Empty, lent: Lent::Nothing }
    }

    /// A slot without memory, and the reason.
    pub(super) const fn unavailable(error: MemoryError) -> Self {
        Self::new(Backing::Unavailable(error), usize::MAX)
    }

    /// Returns how images get into this slot; `None` if there is no memory for it.
    #[must_use]
    pub const fn mode(&self) -> Option<SlotMode> {
        match self.backing {
            Backing::Unavailable(_) | Backing::Mapped(_) => None,
            Backing::DualMapped(_) | Backing::Written(_) => Some(SlotMode::DualMapped),
            Backing::Anonymous(_) => Some(SlotMode::Anonymous),
            Backing::Staged(_) => Some(SlotMode::Staged),
        }
    }

    /// Returns where the loader's own view of the memory is, if there is one.
    #[cfg(test)]
    pub(super) fn writer_address(&self) -> Option<u64> {
        match &self.backing {
            Backing::DualMapped(slot) => Some(slot.writer_address()),
            Backing::Written(slot) => Some(slot.draft_address()),
            _ => None,
        }
    }

    /// Tells whether an image is in the slot.
    #[must_use]
    pub const fn is_occupied(&self) -> bool {
        !matches!(self.phase, Phase::Empty)
    }

    /// Lends the slot an instance of a sealed image, for the next image that is placed: it goes there if it
    /// is that one, and where it always does otherwise. What was lent before and not used is dropped.
    ///
    /// # Safety
    ///
    /// Until something was placed, or until the instance was [taken back](Self::take_returned), the copy
    /// that the instance was made for holds the bytes of the sealed image.
    pub unsafe fn offer(&mut self, instance: ImageInstance) {
        if !matches!(self.lent, Lent::Used(_)) {
            self.lent = Lent::Offered(instance);
        }
    }

    /// Takes an instance back that is not used, or not any more, if it can be used again.
    pub fn take_returned(&mut self) -> Option<ImageInstance> {
        match core::mem::take(&mut self.lent) {
            used @ Lent::Used(_) => {
                self.lent = used;
                None
            }
            Lent::Offered(mut it) | Lent::Returned(mut it) => it.is_usable().then_some(it),
            Lent::Nothing => None,
        }
    }

    /// Places an image in an empty slot in the given way.
    fn place_by(
        &mut self,
        plan: &Plan<'_>,
        place: impl FnOnce(&mut Backing, &mut Lent) -> Result<u64, MemoryError>,
    ) -> Result<u64, MemoryError> {
        let (span, page) = (plan.span(), plan.page_bytes());
        let refusal = refused(MemoryOperation::Place, 0, span);
        if self.is_occupied() || span > self.slot_bytes || !page.is_multiple_of(page_size()) {
            return Err(refusal);
        }
        let writable = writable_segments(plan).ok_or(refusal)?;
        let placed = place(&mut self.backing, &mut self.lent);
        match placed {
            Ok(_) => self.phase = Phase::Placed { span, writable },
            Err(_) => self.clear(),
        }
        placed
    }

    /// Places an image whose segments are mapped from `source` if the slot can do that, and copied
    /// otherwise.
    pub(super) fn place_mapped(
        &mut self,
        plan: &Plan<'_>,
        source: Option<&dyn MapPages>,
    ) -> Result<u64, MemoryError> {
        if !matches!(self.backing, Backing::Mapped(_)) {
            return self.place(plan);
        }
        self.place_by(plan, |backing, _lent| match backing {
            Backing::Mapped(slot) => {
                slot.place(plan, source).map_err(failed(MemoryOperation::MapFile))
            }
            _ => Err(refused(MemoryOperation::Place, 0, plan.span())),
        })
    }

    /// Takes back what a failed `place` or a released image has left.
    fn clear(&mut self) {
        self.phase = Phase::Empty;
        match core::mem::take(&mut self.lent) {
            Lent::Used(instance) => self.lent = Lent::Returned(instance),
            lent => {
                self.lent = lent;
                self.backing.release();
            }
        }
    }
}

impl Backing {
    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        match self {
            Self::Unavailable(error) => Err(*error),
            Self::DualMapped(slot) => slot.place(plan),
            Self::Written(slot) => slot.place(plan),
            Self::Anonymous(slot) => slot.place(plan),
            Self::Staged(slot) => slot.place(plan),
            Self::Mapped(slot) => slot.place(plan, None).map_err(failed(MemoryOperation::Place)),
        }
    }

    fn lend(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        match self {
            Self::Unavailable(_) => None,
            Self::DualMapped(slot) => slot.lend(range),
            Self::Written(slot) => slot.lend(range),
            Self::Anonymous(slot) => slot.lend(range),
            Self::Staged(slot) => slot.lend(range),
            Self::Mapped(slot) => slot.lend(range),
        }
    }

    fn seal(&mut self, plan: &Plan<'_>, rights: &Rights) -> Result<(), MemoryError> {
        match self {
            Self::Unavailable(error) => Err(*error),
            Self::DualMapped(slot) => slot.seal(rights),
            Self::Written(slot) => slot.seal(plan, rights),
            Self::Anonymous(slot) => slot.seal(rights),
            Self::Staged(slot) => slot.seal(rights),
            Self::Mapped(slot) => slot.seal(rights),
        }
    }

    fn release(&mut self) {
        match self {
            Self::Unavailable(_) => {}
            Self::DualMapped(slot) => slot.release(),
            Self::Written(slot) => slot.release(),
            Self::Anonymous(slot) => slot.release(),
            Self::Staged(slot) => slot.release(),
            Self::Mapped(slot) => slot.release(),
        }
    }
}

impl Lent {
    /// Places an image in the instance that was offered, if it is one of that image.
    fn place(&mut self, plan: &Plan<'_>) -> Option<u64> {
        let Self::Offered(mut instance) = core::mem::take(self) else { return None };
        if !instance.is_of(plan) {
            *self = Self::Returned(instance);
            return None;
        }
        match instance.place(plan) {
            Ok(address) => {
                *self = Self::Used(instance);
                Some(address)
            }
            Err(error) => {
                // What it holds is not known, so it goes.
                warn(format_args!("an image is copied, not mapped: {error}"));
                None
            }
        }
    }
}

impl CodeMemory for Slot {
    fn page_bytes(&self) -> usize {
        page_size()
    }

    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        self.place_by(plan, |backing, lent| match (lent.place(plan), backing) {
            (Some(address), _) => Ok(address),
            (None, backing) => backing.place(plan),
        })
    }

    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError> {
        let refusal = refused(MemoryOperation::Write, offset, bytes);
        let Phase::Placed { writable, .. } = &self.phase else { return Err(refusal) };
        let range = offset..offset.checked_add(bytes).ok_or(refusal)?;
        let holds = |(start, end): &(u32, u32)| {
            *start as usize <= range.start && range.end <= *end as usize
        };
        if !writable.iter().any(holds) {
            return Err(refusal);
        }
        let lent = match (&mut self.lent, &mut self.backing) {
            (Lent::Used(instance), _) => instance.lend(range),
            (_, backing) => backing.lend(range),
        };
        lent.ok_or(refusal)
    }

    fn seal(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError> {
        let refusal = refused(MemoryOperation::Protect, 0, plan.span());
        let Phase::Placed { span, .. } = self.phase else { return Err(refusal) };
        if span != plan.span() {
            return Err(refusal);
        }
        let rights = Rights::of(&plan.pages(), page_size()).ok_or(refusal)?;
        match (&mut self.lent, &mut self.backing) {
            (Lent::Used(instance), _) => instance.seal(plan, &rights),
            (_, backing) => backing.seal(plan, &rights),
        }?;
        self.phase = Phase::Sealed;
        Ok(())
    }

    fn release(&mut self) {
        if self.is_occupied() {
            self.clear();
        }
    }
}

/// The segments of an image that can be patched; `None` if they do not fit a slot.
fn writable_segments(plan: &Plan<'_>) -> Option<WritableSegments> {
    let mut list = WritableSegments::new();
    for segment in plan.segments() {
        if segment.protection.contains(Protection::WRITE) {
            let Range { start, end } = plan.offset_of(segment)
                ..plan
                    .offset_of(segment)
                    .checked_add(usize::try_from(segment.memory_bytes).ok()?)?;
            list.push((u32::try_from(start).ok()?, u32::try_from(end).ok()?)).ok()?;
        }
    }
    Some(list)
}
