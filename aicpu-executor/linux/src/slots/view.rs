//! One slot at one address: a piece of address space between guards, and the rights its pages have.
//!
//! It exists apart because it holds the two arguments the rest leans on: rights change only here,
//! so what is recorded is what the processor enforces; and bytes are lent only where that record
//! says that they can be written.

use core::ops::Range;
use core::ptr::NonNull;
use core::slice;

use aicpu_executor::loader::{PageRun, Protection};
use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect};
use rustix::param::page_size;

use super::calls::{Call, note};
use super::config::{GUARD_BYTES, SLOT_ALIGN};
use super::region::{Region, flags};
use super::rights::{Changes, Rights};

/// A slot as one address range sees it.
///
/// # Invariants
///
/// `lead + bytes <= region.bytes()`; `rights`, if known, are those of the pages behind `lead`; the
/// rest of the region has none.
#[derive(Debug)]
pub(super) struct View {
    region: Region,
    /// Bytes of the region in front of the slot: its guard.
    lead: usize,
    /// Bytes of the slot.
    bytes: usize,
    /// `None` after a change that failed half way.
    rights: Option<Rights>,
}

/// A call that the system refused, and what it was about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) offset: usize,
    pub(super) bytes: usize,
    pub(super) error: Errno,
}

impl View {
    /// Returns the address code sees; a pointer can be made of it again.
    pub(super) fn address(&self) -> u64 {
        // CAST: usize is 64 bits on the supported targets.
        self.at(0).as_ptr().expose_provenance() as u64
    }

    /// Returns the bytes of the slot.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the rights of the pages; `None` if a change has failed half way.
    pub(super) const fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// Returns the byte at `offset`, at most the end of the slot.
    fn at(&self, offset: usize) -> NonNull<u8> {
        let place = self.lead + offset.min(self.bytes);
        // SAFETY: `lead + bytes <= region.bytes()`.
        unsafe { self.region.start().add(place) }
    }

    /// Gives the pages other rights, with as few calls as that takes.
    pub(super) fn change(&mut self, wanted: &Rights) -> Result<(), Refusal> {
        if self.rights.as_ref() == Some(wanted) {
            return Ok(());
        }
        let now = match self.rights.take() {
            Some(now) => now,
            None => {
                let all = PageRun { offset: 0, bytes: self.bytes, protection: Protection::empty() };
                self.protect(&all)?;
                Rights::none()
            }
        };
        Changes::new(&now, wanted).try_for_each(|change| self.protect(&change))?;
        self.rights = Some(wanted.clone());
        Ok(())
    }

    /// One change of rights.
    fn protect(&self, run: &PageRun) -> Result<(), Refusal> {
        let refusal = |error| Refusal { offset: run.offset, bytes: run.bytes, error };
        self.check(&(run.offset..run.offset.saturating_add(run.bytes)))?;
        let start = self.at(run.offset).as_ptr().cast();
        note(Call::Protect);
        // SAFETY: whole pages of our own region, as just checked. No reference to them exists:
        // they borrow this value.
        unsafe { mprotect(start, run.bytes, flags(run.protection)) }.map_err(refusal)
    }

    /// Refuses what is not whole pages of the slot.
    fn check(&self, pages: &Range<usize>) -> Result<(), Refusal> {
        let whole =
            pages.start.is_multiple_of(page_size()) && pages.end.is_multiple_of(page_size());
        if whole && pages.start <= pages.end && pages.end <= self.bytes {
            return Ok(());
        }
        let bytes = pages.end.saturating_sub(pages.start);
        Err(Refusal { offset: pages.start, bytes, error: Errno::INVAL })
    }

    /// Lends bytes of the slot, if they are readable and writable.
    ///
    /// # Safety
    ///
    /// No code runs that could touch them, and nothing else lends or changes the same memory, for
    /// as long as the borrow lasts.
    pub(super) unsafe fn bytes_mut(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        if bytes.end > self.bytes || !self.rights.as_ref()?.are_writable(&bytes) {
            return None;
        }
        // SAFETY: mapped readable and writable, by the check above and the invariant; zeroed by the
        // system at least; exclusive by the caller's promise.
        Some(unsafe { slice::from_raw_parts_mut(self.at(bytes.start).as_ptr(), bytes.len()) })
    }

    /// Lends bytes of the slot to be read, if they are readable and writable.
    ///
    /// # Safety
    ///
    /// As for [`bytes_mut`](Self::bytes_mut), but that others may read them, too.
    pub(super) unsafe fn bytes_ref(&self, bytes: Range<usize>) -> Option<&[u8]> {
        if bytes.end > self.bytes || !self.rights.as_ref()?.are_writable(&bytes) {
            return None;
        }
        // SAFETY: as above; nothing changes them, by the caller's promise.
        Some(unsafe { slice::from_raw_parts(self.at(bytes.start).as_ptr(), bytes.len()) })
    }

    /// Lends bytes of the slot that nothing can write to, if they are readable.
    pub(super) fn constant_bytes(&self, bytes: Range<usize>) -> Option<&[u8]> {
        if bytes.end > self.bytes || !self.rights.as_ref()?.are_constant(&bytes) {
            return None;
        }
        // SAFETY: mapped readable and not writable, by the check above and the invariant; rights change
        // through this value alone, which the borrow holds.
        Some(unsafe { slice::from_raw_parts(self.at(bytes.start).as_ptr(), bytes.len()) })
    }

    /// Brings writable pages into memory at once instead of one fault each.
    pub(super) fn populate(&mut self, pages: Range<usize>) -> Result<(), Refusal> {
        match self.advise(&pages, Advice::LinuxPopulateWrite) {
            // A system that does not know the call brings them in when they are written.
            Err(Refusal { error: Errno::INVAL, .. }) => Ok(()),
            result => result,
        }
    }

    /// Gives the memory of pages of a shared file back, in all views of it; they read as zero.
    pub(super) fn punch(&mut self, pages: Range<usize>) -> Result<(), Refusal> {
        self.advise(&pages, Advice::LinuxRemove)
    }

    /// Gives the memory of private pages back; they read as zero. Those of a shared file stay.
    pub(super) fn forget(&mut self, pages: Range<usize>) -> Result<(), Refusal> {
        self.advise(&pages, Advice::LinuxDontNeed)
    }

    /// Puts a private mapping of a file at pages of the slot.
    pub(super) fn map_private(
        &mut self,
        pages: Range<usize>,
        (file, offset): (BorrowedFd<'_>, u64),
        protection: Protection,
    ) -> Result<(), Refusal> {
        self.check(&pages)?;
        let refusal = |error| Refusal { offset: pages.start, bytes: pages.len(), error };
        let rights = self.rights.as_ref().and_then(|now| now.with(&pages, protection));
        let rights = rights.ok_or(refusal(Errno::INVAL))?;
        let access = ProtFlags::from_bits_retain(flags(protection).bits());
        let start = self.at(pages.start).as_ptr().cast();
        let kind = MapFlags::PRIVATE | MapFlags::FIXED;
        note(Call::Map);
        // SAFETY: replaces whole pages of our own region, as just checked; no reference to them
        // exists.
        let mapped = unsafe { mmap(start, pages.len(), access, kind, file, offset) };
        if let Err(error) = mapped {
            // The pages may be unmapped now: they become ours again, or nobody's.
            self.blank(pages.clone())?;
            return Err(refusal(error));
        }
        self.rights = Some(rights);
        Ok(())
    }

    /// Puts a shared mapping of a file over the whole slot, without any rights. A child process
    /// would share the bytes and not know of it: it gets none of them.
    pub(super) fn map_shared(&mut self, file: BorrowedFd<'_>) -> Result<(), Refusal> {
        let (start, bytes) = (self.at(0).as_ptr().cast(), self.bytes);
        let kind = MapFlags::SHARED | MapFlags::FIXED | MapFlags::NORESERVE;
        note(Call::Map);
        // SAFETY: replaces pages of our own region; no reference to them exists.
        let mapped = unsafe { mmap(start, bytes, ProtFlags::empty(), kind, file, 0) };
        let mapped = mapped.map_err(|error| Refusal { offset: 0, bytes, error });
        let mapped = mapped.and_then(|_| self.advise(&(0..bytes), Advice::LinuxDontFork));
        if mapped.is_err() {
            // The pages may be unmapped now: they become ours again, or nobody's.
            self.blank(0..bytes)?;
        }
        self.rights = Some(Rights::none());
        mapped
    }

    /// Takes away whatever is mapped at pages of the slot: they have no memory and no rights.
    ///
    /// If the system does not do that, the address space is abandoned: a hole in it could become
    /// somebody else's. Every later use of the view fails.
    pub(super) fn blank(&mut self, pages: Range<usize>) -> Result<(), Refusal> {
        self.check(&pages)?;
        let before = self.rights.take();
        let start = self.at(pages.start).as_ptr().cast();
        let kind = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        note(Call::Map);
        // SAFETY: as in `map_private`.
        let mapped = unsafe { mmap_anonymous(start, pages.len(), ProtFlags::empty(), kind) };
        if let Err(error) = mapped {
            self.region.abandon();
            let bytes = core::mem::take(&mut self.bytes);
            return Err(Refusal { offset: 0, bytes, error });
        }
        self.rights = if pages == (0..self.bytes) {
            // Whatever the rights were, known or not.
            Some(Rights::none())
        } else {
            before.and_then(|before| before.with(&pages, Protection::empty()))
        };
        Ok(())
    }

    /// Makes the slot a mapping of its own in the system's list, for good: its rights as a whole
    /// then change without splitting a mapping. What sets it apart from its guards is that core
    /// dumps leave it out.
    pub(super) fn set_apart(&mut self) -> Result<(), Refusal> {
        self.advise(&(0..self.bytes), Advice::LinuxDontDump)
    }

    /// Tells the system something about pages of the slot.
    fn advise(&mut self, pages: &Range<usize>, advice: Advice) -> Result<(), Refusal> {
        self.check(pages)?;
        let start = self.at(pages.start).as_ptr().cast();
        note(Call::Advise);
        // SAFETY: pages of our own region; no reference to them exists, and contents become at most
        // zero.
        unsafe { madvise(start, pages.len(), advice) }.map_err(|error| Refusal {
            offset: pages.start,
            bytes: pages.len(),
            error,
        })
    }
}

/// Cuts a region into views of equal size, guards around each.
///
/// ```text
///  region ─► │ padding, guard │ slot 0 │ guard │ slot 1 │ guard │ … │ slot n │ guard, padding │
///  piece     └────────── 0 ──────────┘└────── 1 ──────┘       …  └──────────── n ───────────┘
/// ```
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Region,
    left: usize,
    slot_bytes: usize,
    /// Bytes in front of the next slot.
    lead: usize,
}

impl Pieces {
    /// Returns the bytes of a region for `count` slots.
    pub(super) const fn region_bytes(count: usize, slot_bytes: usize) -> usize {
        SLOT_ALIGN + GUARD_BYTES + count * (slot_bytes + GUARD_BYTES)
    }

    /// Cuts a region of [`region_bytes`](Self::region_bytes).
    pub(super) fn new(region: Region, count: usize, slot_bytes: usize) -> Self {
        let start = region.start().addr().get();
        // Cannot wrap: the region is longer than both together.
        let lead = (start + GUARD_BYTES).next_multiple_of(SLOT_ALIGN) - start;
        Self { rest: region, left: count, slot_bytes, lead }
    }

    /// Returns how many slots have not been cut off yet.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Tells whether the system allows these rights, one after the other, on this memory.
    pub(super) fn try_rights(&self, steps: &[Protection]) -> io::Result<()> {
        self.rest.try_rights(steps)
    }

    /// Cuts another region of the same size at the same places, whatever its alignment.
    pub(super) const fn cut_alike(&self, region: Region) -> Self {
        Self { rest: region, left: self.left, slot_bytes: self.slot_bytes, lead: self.lead }
    }
}

impl Iterator for Pieces {
    type Item = View;

    fn next(&mut self) -> Option<View> {
        self.left = self.left.checked_sub(1)?;
        let lead = core::mem::replace(&mut self.lead, GUARD_BYTES);
        let needed = lead.checked_add(self.slot_bytes)?;
        // The last piece takes the guard behind it, too.
        let bytes = if self.left == 0 { self.rest.bytes() } else { needed };
        let region = self.rest.split_front(bytes)?;
        let rights = Some(Rights::none());
        (needed <= bytes).then_some(View { region, lead, bytes: self.slot_bytes, rights })
    }
}
