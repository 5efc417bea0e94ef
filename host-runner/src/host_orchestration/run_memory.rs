//! Device memory of the runs of one callable.
//!
//! An orchestration allocates anew in each run, and a graph that stays on the device has the addresses
//! in it. So memory is taken from the device in chunks that are kept, and the same calls get the same
//! addresses in every run:
//!
//! ```text
//!  run 1   │chunk 0: a b c ─── │ │chunk 1: d ────────── │        a: allocate; free ranges are reused
//!  run 2   │chunk 0: a b c ─── │ │chunk 1: d ────────── │           within the run
//! ```
//!
//! A run *opens* chunks in their order, when no free range of the opened ones is large enough. What a
//! run gets depends on its calls and on the chunks that it opens, never on those behind them: a run
//! that made a chunk is answered as one that finds it. A chunk is made when none that is not open
//! is large enough; those go back to the device then, so that tensors that grow from run to run do not
//! leave their old memory behind. They stay where the device has no room for the chunk, unless it might
//! have it without them: an orchestration that asks for too much in each run does not cost the next one
//! its memory.

use std::collections::BTreeMap;

use protocol::{CallableId, DeviceAddr};

use crate::device::{Device, Holder, MemoryError};

mod free_ranges;

use free_ranges::FreeRanges;

/// Alignment of every allocation, in bytes.
pub const RUN_MEMORY_ALIGN: u64 = 512;
/// Bytes of the first chunk. Each that a run opens in addition is twice as large as the one before,
/// up to [`CHUNK_BYTES_MAX`]; what needs more gets one that is as large as it needs.
pub const CHUNK_BYTES_MIN: u64 = 1 << 20;
/// Bytes of the largest chunk that is made for more than one allocation.
pub const CHUNK_BYTES_MAX: u64 = 64 << 20;

/// Memory of one device, taken from it for many allocations.
#[derive(Debug)]
struct Chunk {
    /// Which one; no other of the same run memory ever has it.
    number: u64,
    /// What the device gave.
    allocation: DeviceAddr,
    /// Aligned, at least one byte before the end of what the device gave: ranges of two chunks never
    /// touch.
    start: u64,
    bytes: u64,
    /// Whether this run uses it.
    open: bool,
}

/// A chunk that the device could not give.
#[derive(Debug, Clone, Copy)]
struct Refused {
    /// The least that it had to have.
    room: u64,
    /// Bytes that were in use on the device.
    in_use: u64,
}

/// Device memory of the runs of one callable, on one device.
///
/// Dropping it frees nothing: [`give_back`](Self::give_back) does.
#[derive(Debug)]
pub struct RunMemory {
    holder: Holder,
    chunks: Vec<Chunk>,
    /// Number of the chunk that was made last.
    last_number: u64,
    /// What the device has refused although everything that it was asked for was in use.
    refused: Option<Refused>,
    /// Bytes as they were asked for, by address.
    live: BTreeMap<u64, usize>,
    free: FreeRanges,
}

impl RunMemory {
    /// No memory yet, for runs of this callable.
    #[must_use]
    pub fn new(callable: CallableId) -> Self {
        let holder = Holder::Tensors(callable);
        let (chunks, live, free) = (Vec::new(), BTreeMap::new(), FreeRanges::default());
        Self { holder, chunks, last_number: 0, refused: None, live, free }
    }

    /// Makes all of it free for a new run. Nothing may use it any more.
    pub fn begin_run(&mut self) {
        self.live.clear();
        self.free.clear();
        self.chunks.iter_mut().for_each(|chunk| chunk.open = false);
    }

    /// Allocates memory of the run at a multiple of [`RUN_MEMORY_ALIGN`]. What is in it is undefined. No
    /// bytes have an address of their own, too.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`], with everything as it was but for chunks that were not in use, and
    /// [`MemoryError::Gone`].
    pub fn allocate(
        &mut self,
        device: &dyn Device,
        bytes: usize,
    ) -> Result<DeviceAddr, MemoryError> {
        let exhausted = MemoryError::Exhausted { bytes };
        // CAST: usize is 64 bits on the supported targets.
        let room = (bytes.max(1) as u64).checked_next_multiple_of(RUN_MEMORY_ALIGN);
        let room = room.ok_or_else(|| exhausted.clone())?;
        let start = match self.free.take(room) {
            Some(start) => start,
            None => {
                self.open_chunk(device, room).map_err(|error| match error {
                    MemoryError::Exhausted { .. } => exhausted.clone(),
                    other => other,
                })?;
                self.free.take(room).ok_or(exhausted)?
            }
        };
        self.live.insert(start, bytes);
        Ok(DeviceAddr::new(start))
    }

    /// Makes memory free for other allocations of the run.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`] where no live allocation of the run starts there.
    pub fn free(&mut self, address: DeviceAddr) -> Result<(), MemoryError> {
        let bytes =
            self.live.remove(&address.raw()).ok_or(MemoryError::UnknownAddress { address })?;
        // CAST: as in `allocate`, where this has not overflowed.
        let room = (bytes.max(1) as u64).next_multiple_of(RUN_MEMORY_ALIGN);
        self.free.give(address.raw(), room);
        Ok(())
    }

    /// Whether a range lies inside one live allocation of the run.
    #[must_use]
    pub fn contains(&self, address: DeviceAddr, bytes: usize) -> bool {
        self.allocation_of(address, bytes).is_some()
    }

    /// Where the live allocation of the run starts that a range lies inside.
    pub(crate) fn allocation_of(&self, address: DeviceAddr, bytes: usize) -> Option<DeviceAddr> {
        let (start, have) = self.live.range(..=address.raw()).next_back()?;
        // CAST: (both) usize is 64 bits on the supported targets.
        let end = (address.raw() - start).checked_add(bytes as u64)?;
        (end <= *have as u64).then_some(DeviceAddr::new(*start))
    }

    /// The chunks that the run uses. As long as it [`has_chunks`](Self::has_chunks), what was
    /// allocated in this run is memory of its runs, at the addresses that it had.
    pub(crate) fn open_chunks(&self) -> Vec<u64> {
        self.chunks.iter().filter(|chunk| chunk.open).map(|chunk| chunk.number).collect()
    }

    /// Whether it still has all of these chunks.
    pub(crate) fn has_chunks(&self, numbers: &[u64]) -> bool {
        numbers.iter().all(|number| self.chunks.iter().any(|chunk| chunk.number == *number))
    }

    /// Whether a range lies inside a chunk that the run uses, be it live or free.
    pub(crate) fn is_in_chunk(&self, address: DeviceAddr, bytes: usize) -> bool {
        // CAST: usize is 64 bits on the supported targets.
        let end = address.raw().checked_add(bytes as u64);
        let has = |chunk: &Chunk| {
            let inside = |end| end <= chunk.start + chunk.bytes;
            chunk.open && chunk.start <= address.raw() && end.is_some_and(inside)
        };
        self.chunks.iter().any(has)
    }

    /// Bytes that are held on the device.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Live allocations of the run.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Gives everything back to the device. Nothing may use it any more.
    ///
    /// # Errors
    ///
    /// The first [`MemoryError`]; the rest is given back nevertheless, and none of it is known here
    /// any more.
    pub fn give_back(&mut self, device: &dyn Device) -> Result<(), MemoryError> {
        self.begin_run();
        self.give_back_closed(device)
    }

    /// Opens a chunk with a free range of `room` bytes.
    fn open_chunk(&mut self, device: &dyn Device, room: u64) -> Result<(), MemoryError> {
        let large = |chunk: &&mut Chunk| !chunk.open && chunk.bytes >= room;
        if let Some(chunk) = self.chunks.iter_mut().find(large) {
            chunk.open = true;
            self.free.give(chunk.start, chunk.bytes);
            return Ok(());
        }
        let chunk = match self.make_chunk(device, room) {
            Err(MemoryError::Exhausted { .. }) if self.is_worth_the_closed(device, room) => {
                self.give_back_closed(device)?;
                self.make_chunk(device, room)
            }
            made => made,
        };
        let chunk = chunk.inspect_err(|_| self.note_refusal(device, room))?;
        self.free.give(chunk.start, chunk.bytes);
        self.chunks.push(chunk);
        self.give_back_closed(device)
    }

    /// Whether the device may have room for a chunk once it has those that the run does not use.
    fn is_worth_the_closed(&self, device: &dyn Device, room: u64) -> bool {
        let closed = self.chunks.iter().filter(|chunk| !chunk.open);
        let closed: u64 = closed.map(|chunk| chunk.bytes + RUN_MEMORY_ALIGN).sum();
        closed > 0 && !self.is_hopeless(room, in_use(device).saturating_sub(closed))
    }

    /// Whether no more was refused before, with no more in use on the device.
    fn is_hopeless(&self, room: u64, in_use: u64) -> bool {
        self.refused.is_some_and(|refused| room >= refused.room && in_use >= refused.in_use)
    }

    /// Notes that there is no room for a chunk, where nothing is left that could be given back for it.
    fn note_refusal(&mut self, device: &dyn Device, room: u64) {
        let in_use = in_use(device);
        if self.chunks.iter().all(|chunk| chunk.open) && !self.is_hopeless(room, in_use) {
            self.refused = Some(Refused { room, in_use });
        }
    }

    /// Makes a chunk of the usual size, or of `room` bytes where those are more or the device has no more.
    fn make_chunk(&mut self, device: &dyn Device, room: u64) -> Result<Chunk, MemoryError> {
        let open = self.chunks.iter().filter(|chunk| chunk.open).count();
        // CAST: at most 63.
        let doublings = open.min(63) as u32;
        let usual = CHUNK_BYTES_MIN.saturating_mul(1 << doublings).min(CHUNK_BYTES_MAX);
        match self.take_chunk(device, usual.max(room)) {
            Err(MemoryError::Exhausted { .. }) if usual > room => self.take_chunk(device, room),
            taken => taken,
        }
    }

    /// Takes memory from the device.
    fn take_chunk(&mut self, device: &dyn Device, bytes: u64) -> Result<Chunk, MemoryError> {
        let ask = bytes.checked_add(RUN_MEMORY_ALIGN).and_then(|ask| usize::try_from(ask).ok());
        let ask = ask.ok_or(MemoryError::Exhausted { bytes: usize::MAX })?;
        let allocation = device.allocate(ask, self.holder)?;
        let start = allocation.raw().next_multiple_of(RUN_MEMORY_ALIGN);
        self.last_number += 1;
        Ok(Chunk { number: self.last_number, allocation, start, bytes, open: true })
    }

    /// Gives back to the device what the run does not use.
    ///
    /// # Errors
    ///
    /// As [`give_back`](Self::give_back).
    pub(crate) fn give_back_closed(&mut self, device: &dyn Device) -> Result<(), MemoryError> {
        let mut first = Ok(());
        self.chunks.retain(|chunk| {
            if !chunk.open {
                let freed = device.free(chunk.allocation);
                first = std::mem::replace(&mut first, Ok(())).and(freed);
            }
            chunk.open
        });
        first
    }
}

/// Bytes in use on the device.
fn in_use(device: &dyn Device) -> u64 {
    // CAST: usize is at most 64 bits.
    device.usage().bytes as u64
}

#[cfg(test)]
mod tests;
