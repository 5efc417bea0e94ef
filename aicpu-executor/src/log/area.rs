//! The executor's side of a log area: frames and the outcome of a record go to memory of the host's.
//!
//! The header is the host's word for how large the area is; it is checked, and believed then. Positions are
//! only ever taken modulo the size of the ring, so that no number in the area leads outside of it.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocol::log_area::LOG_AREA_ALIGN;
use protocol::{DeviceAddr, LogArea, LogAreaLayout, LogRing, RunReport};

use super::frame_ring::FrameRing;

/// What makes memory of the host's the same for both sides.
#[derive(Debug, Clone, Copy)]
pub struct CacheUpkeep {
    /// Makes what the host wrote to these bytes visible here.
    pub invalidate: fn(address: u64, bytes: usize),
    /// Makes what was written here visible to the host.
    pub clean: fn(address: u64, bytes: usize),
}

/// Which image writes to an area: by this the host finds its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageIdentity {
    /// What was added to the addresses of the image when it was loaded.
    pub bias: u64,
    /// First bytes of its Build-ID.
    pub build_id: [u8; 8],
}

/// An area that has been looked at.
#[derive(Debug, Clone, Copy)]
pub struct OpenArea {
    start: u64,
    layout: LogAreaLayout,
    upkeep: CacheUpkeep,
}

impl OpenArea {
    /// Looks at the area at `address`; `None` where there is none, or none that this executor knows.
    ///
    /// # Safety
    ///
    /// `address` is null, or memory that begins with what the host takes for the header of an area and
    /// has the size that the header says. It stays as long as the result is used.
    pub unsafe fn open(address: DeviceAddr, upkeep: CacheUpkeep) -> Option<Self> {
        // SAFETY: the caller's promise.
        let (start, layout) = unsafe { look_at(address, upkeep.invalidate) }?;
        Some(Self { start, layout, upkeep })
    }

    /// Tells which image writes here.
    ///
    /// # Safety
    ///
    /// The area is there ([`open`](Self::open)). Threads of other images do not use it.
    pub unsafe fn introduce(&self, image: ImageIdentity) {
        let header = pointer::<LogArea>(self.start);
        // SAFETY: the area is there by the contract; threads of the same image write the same.
        let bias = unsafe { AtomicU64::from_ptr(&raw mut (*header).image_bias) };
        // SAFETY: as above; the field is 8 bytes at a multiple of 8.
        let build_id = unsafe { AtomicU64::from_ptr((&raw mut (*header).build_id).cast()) };
        // ORDERING: Relaxed (both): the host reads them after the positions of a ring, whose
        // Release stores of this thread come later.
        bias.store(image.bias, Ordering::Relaxed);
        build_id.store(u64::from_ne_bytes(image.build_id), Ordering::Relaxed);
        (self.upkeep.clean)(self.start, size_of::<LogArea>());
    }

    /// Moves frames from `from` to the ring `index` of the area, as many as there is room for, and the
    /// number of those that were dropped.
    ///
    /// Returns false if the area has no such ring.
    ///
    /// # Safety
    ///
    /// The area is there ([`open`](Self::open)), and no other thread delivers to this ring of it.
    pub unsafe fn deliver<const BYTES: usize>(
        &self,
        index: usize,
        from: &mut FrameRing<BYTES>,
    ) -> bool {
        let (Some(ring), Some(data)) = (self.layout.ring(index), self.layout.ring_data(index))
        else {
            return false;
        };
        if from.oldest().is_none() && from.dropped() == 0 {
            return true;
        }
        // CAST: (both) offsets within an area.
        let (ring, data) = (self.start + ring as u64, self.start + data as u64);
        (self.upkeep.invalidate)(ring, size_of::<LogRing>());
        let positions = pointer::<LogRing>(ring);
        // SAFETY: (three) inside the area by its layout, aligned to cache lines; only this thread and
        // the host use them, the host through copies.
        let written = unsafe { AtomicU64::from_ptr(&raw mut (*positions).written) };
        // SAFETY: as above.
        let dropped = unsafe { AtomicU64::from_ptr(&raw mut (*positions).dropped) };
        // SAFETY: as above.
        let read = unsafe { AtomicU64::from_ptr(&raw mut (*positions).read) };
        // ORDERING: Relaxed: this thread's own.
        let mut position = written.load(Ordering::Relaxed);
        // ORDERING: Acquire: what the host has copied, it does not read any more.
        let read = read.load(Ordering::Acquire);
        let capacity = self.layout.ring_bytes() as u64;
        while let Some((first, second)) = from.oldest() {
            let bytes = (first.len() + second.len()) as u64;
            if position.wrapping_sub(read).saturating_add(bytes) > capacity {
                break;
            }
            // SAFETY: the ring is this thread's, and there is room.
            unsafe { self.put(data, position, first) };
            // SAFETY: as above.
            unsafe { self.put(data, position.wrapping_add(first.len() as u64), second) };
            position = position.wrapping_add(bytes);
            from.discard_oldest();
        }
        // ORDERING: Relaxed (both): this thread's own, and a number for people.
        dropped.store(dropped.load(Ordering::Relaxed) + from.take_dropped(), Ordering::Relaxed);
        // ORDERING: Release: a host that sees the position sees the bytes before it.
        written.store(position, Ordering::Release);
        (self.upkeep.clean)(ring, size_of::<LogRing>());
        true
    }

    /// Counts frames that no ring was there for.
    ///
    /// # Safety
    ///
    /// The area is there ([`open`](Self::open)).
    pub unsafe fn count_homeless(&self, frames: u64) {
        let header = pointer::<LogArea>(self.start);
        // SAFETY: the area is there by the contract, and all threads count with atomics.
        let homeless = unsafe { AtomicU64::from_ptr(&raw mut (*header).homeless) };
        // ORDERING: Relaxed: a number for people.
        homeless.fetch_add(frames, Ordering::Relaxed);
        (self.upkeep.clean)(self.start, size_of::<LogArea>());
    }

    /// Puts bytes at a position of the ring whose bytes begin at `data`, and cleans the cache.
    ///
    /// # Safety
    ///
    /// The ring is the calling thread's, and there is room.
    unsafe fn put(&self, data: u64, position: u64, bytes: &[u8]) {
        let capacity = self.layout.ring_bytes();
        // CAST: below `capacity`.
        let start = (position % capacity as u64) as usize;
        let (first, second) = bytes.split_at(bytes.len().min(capacity - start));
        for (offset, piece) in [(start, first), (0, second)] {
            let to = data + offset as u64;
            // SAFETY: inside the ring, which nobody else writes or reads there by the contract.
            unsafe {
                pointer::<u8>(to).copy_from_nonoverlapping(piece.as_ptr(), piece.len());
            }
            (self.upkeep.clean)(to, piece.len());
        }
    }
}

/// Writes the outcome of a record to the area at `address`, if there is one: whole if it failed, and without
/// its text if not.
///
/// # Safety
///
/// As for [`OpenArea::open`]; the calling thread is the only one that reports for this area.
pub(crate) unsafe fn write_report(
    address: DeviceAddr,
    invalidate: impl Fn(u64, usize),
    clean: impl Fn(u64, usize),
    report: &RunReport,
) {
    // SAFETY: the caller's promise.
    let Some((start, _)) = (unsafe { look_at(address, invalidate) }) else { return };
    // SAFETY: the area is there; this computes an address.
    let place = unsafe { &raw mut (*pointer::<LogArea>(start)).report };
    // SAFETY: as above; 4 bytes at a multiple of 4.
    let number = unsafe { AtomicU32::from_ptr(&raw mut (*place).run_number) };
    // ORDERING: Relaxed: whoever reads while this is written reads in vain.
    number.store(0, Ordering::Relaxed);
    // SAFETY: as above, and this thread alone writes the report.
    unsafe {
        (*place).code = report.code;
        (*place).tasks = report.tasks;
        (*place).loaded = report.loaded;
        (*place).text_bytes = report.text_bytes;
    }
    if report.code != 0 {
        // SAFETY: as above.
        unsafe { (*place).text = report.text };
    }
    // ORDERING: Release: a host that sees the number sees the report.
    number.store(report.run_number, Ordering::Release);
    // CAST: an address.
    clean(place.addr() as u64, size_of::<RunReport>());
}

/// Where an area is and what is where in it; `None` where there is none, or none that this executor knows.
///
/// # Safety
///
/// As for [`OpenArea::open`].
unsafe fn look_at(
    address: DeviceAddr,
    invalidate: impl Fn(u64, usize),
) -> Option<(u64, LogAreaLayout)> {
    if address.is_null() || !address.is_aligned_to(LOG_AREA_ALIGN) {
        return None;
    }
    let start = address.raw();
    invalidate(start, size_of::<LogArea>());
    let header = pointer::<LogArea>(start);
    // SAFETY: not null, aligned, and a header by the contract, of which the host alone writes these.
    let words =
        unsafe { ((*header).magic, (*header).version, (*header).ring_count, (*header).ring_bytes) };
    Some((start, LogAreaLayout::checked(words.0, words.1, words.2, words.3).ok()?))
}

/// An address of device memory as a pointer.
fn pointer<T>(address: u64) -> *mut T {
    // CAST: the executor runs on machines of 64 bits.
    core::ptr::with_exposed_provenance_mut(address as usize)
}

#[cfg(test)]
pub(super) mod tests;
