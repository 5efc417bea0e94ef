//! Memory of the device: who holds it, and what is inside which allocation.
//!
//! As in the simulator, the table is locked to look something up and not while bytes are copied; who has
//! looked up an allocation keeps it. What differs is where the bytes are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{DeviceAddr, RING_COUNT};

use super::error::CallError;
use super::session::{Session, warn_of};
use crate::device::ledger::Ledger;
use crate::device::run_site::{ArenaAddresses, ArenaSource};
use crate::device::{DeviceMemoryReport, Holder, MemoryError};

/// Alignment of what is allocated.
const ALIGN: u64 = 64;

/// Bytes of zeroes that are copied at a time.
static ZEROES: [u8; 1 << 16] = [0; 1 << 16];

/// An allocation; it is freed when it is dropped.
#[derive(Debug)]
pub struct Block {
    session: Arc<Session>,
    /// As the runtime gave it.
    raw: u64,
    address: u64,
    bytes: usize,
    is_freed: bool,
}

impl Block {
    /// Allocates at least `bytes` bytes, whose contents are whatever was there.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`] and [`MemoryError::Call`].
    pub fn allocate(session: &Arc<Session>, bytes: usize) -> Result<Self, MemoryError> {
        let exhausted = || MemoryError::Exhausted { bytes };
        // CAST: usize is at most 64 bits.
        let room = (bytes as u64).max(1).checked_next_multiple_of(ALIGN).ok_or_else(exhausted)?;
        let block = Self::with_room(session, room, bytes)?;
        if block.raw.is_multiple_of(ALIGN) {
            return Ok(block);
        }
        // Whether the runtime aligns so far is not documented.
        drop(block);
        let more = room.checked_add(ALIGN).ok_or_else(exhausted)?;
        let mut block = Self::with_room(session, more, bytes)?;
        block.address = block.raw.next_multiple_of(ALIGN);
        Ok(block)
    }

    fn with_room(session: &Arc<Session>, room: u64, bytes: usize) -> Result<Self, MemoryError> {
        let raw = session.with_device(|api| api.malloc(room)).map_err(|error| match error {
            MemoryError::Call(error) if error.is_out_of_memory() => {
                MemoryError::Exhausted { bytes }
            }
            error => error,
        })?;
        let session = Arc::clone(session);
        Ok(Self { session, raw, address: raw, bytes, is_freed: false })
    }

    /// Allocates zeroes.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub fn zeroed(session: &Arc<Session>, bytes: usize) -> Result<Self, MemoryError> {
        let block = Self::allocate(session, bytes)?;
        block.zero(bytes)?;
        Ok(block)
    }

    /// Writes zeroes to the first `bytes` bytes.
    fn zero(&self, bytes: usize) -> Result<(), MemoryError> {
        let mut done = 0;
        while done < bytes {
            let part = ZEROES.len().min(bytes - done);
            self.copy_in(done, &ZEROES[..part])?;
            done += part;
        }
        Ok(())
    }

    /// Where it is.
    pub fn address(&self) -> DeviceAddr {
        DeviceAddr::new(self.address)
    }

    /// Whether so many bytes at an offset are inside it.
    fn has(&self, offset: usize, bytes: usize) -> bool {
        offset.checked_add(bytes).is_some_and(|end| end <= self.bytes)
    }

    fn out_of_range(&self, offset: usize, bytes: usize) -> MemoryError {
        let address = DeviceAddr::new(self.address.saturating_add(offset as u64));
        MemoryError::OutOfRange { address, bytes }
    }

    /// Copies `from` to the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`], [`MemoryError::Gone`] and [`MemoryError::Call`].
    pub fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError> {
        if !self.has(offset, from.len()) {
            return Err(self.out_of_range(offset, from.len()));
        }
        self.session.with_device(|api| match from {
            [] => Ok(()),
            from => api.copy_in(self.address + offset as u64, from),
        })
    }

    /// Copies the bytes from `offset` on to `to`.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError> {
        if !self.has(offset, to.len()) {
            return Err(self.out_of_range(offset, to.len()));
        }
        self.session.with_device(|api| match to {
            [] => Ok(()),
            to => api.copy_out(to, self.address + offset as u64),
        })
    }

    /// Frees it, and gives it back where that is refused. With a lost device it is gone.
    fn release(mut self) -> Result<(), (Self, CallError)> {
        match self.session.with_device(|api| api.free(self.raw)) {
            Err(MemoryError::Call(error)) => Err((self, error)),
            _ => {
                self.is_freed = true;
                Ok(())
            }
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if !self.is_freed
            && let Err(MemoryError::Call(error)) =
                self.session.with_device(|api| api.free(self.raw))
        {
            warn_of(Err(error));
        }
    }
}

/// The memory of a device.
#[derive(Debug)]
pub struct DeviceMemory {
    session: Arc<Session>,
    table: Mutex<BTreeMap<u64, (Arc<Block>, Holder)>>,
    ledger: Arc<Ledger>,
}

impl DeviceMemory {
    /// Nothing so far.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, table: Mutex::default(), ledger: Arc::default() }
    }

    /// The books.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Allocates zeroes for somebody.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        Ok(self.add(Block::zeroed(&self.session, bytes)?, holder))
    }

    /// Allocates a copy of `bytes` for somebody.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn allocate_with(&self, bytes: &[u8], holder: Holder) -> Result<DeviceAddr, MemoryError> {
        let block = Block::allocate(&self.session, bytes.len())?;
        block.copy_in(0, bytes)?;
        Ok(self.add(block, holder))
    }

    /// Allocates what `make` says for the address that it gets; so many bytes.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn allocate_made(
        &self,
        bytes: usize,
        holder: Holder,
        make: impl FnOnce(DeviceAddr) -> Vec<u8>,
    ) -> Result<DeviceAddr, MemoryError> {
        let block = Block::allocate(&self.session, bytes)?;
        block.copy_in(0, &make(block.address()))?;
        Ok(self.add(block, holder))
    }

    /// Puts an allocation into the table.
    fn add(&self, block: Block, holder: Holder) -> DeviceAddr {
        let (address, bytes) = (block.address(), block.bytes);
        self.table().insert(address.raw(), (Arc::new(block), holder));
        self.ledger.take(holder, bytes);
        address
    }

    /// Frees an allocation.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`], [`MemoryError::Gone`], and [`MemoryError::Call`], after which it is
    /// as live as before.
    pub fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.session.check()?;
        let removed = self.table().remove(&address.raw());
        let (block, holder) = removed.ok_or(MemoryError::UnknownAddress { address })?;
        let bytes = block.bytes;
        // Whoever copies right now frees it after that.
        if let Some(block) = Arc::into_inner(block)
            && let Err((block, error)) = block.release()
        {
            self.table().insert(address.raw(), (Arc::new(block), holder));
            return Err(error.into());
        }
        self.ledger.give_back(holder, bytes);
        Ok(())
    }

    /// Copies to the device.
    ///
    /// # Errors
    ///
    /// As [`Block::copy_in`].
    pub fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        let (block, offset, _) = self.find(to, from.len())?;
        block.copy_in(offset, from)
    }

    /// Copies from the device.
    ///
    /// # Errors
    ///
    /// As [`Block::copy_in`].
    pub fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        let (block, offset, _) = self.find(from, to.len())?;
        block.copy_out(offset, to)
    }

    /// Checks that a range is inside an allocation, and whose that is.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`] and [`MemoryError::Gone`].
    pub fn holder_of(&self, address: DeviceAddr, bytes: usize) -> Result<Holder, MemoryError> {
        self.find(address, bytes).map(|(.., holder)| holder)
    }

    /// Looks up a range that lies inside one allocation.
    fn find(
        &self,
        address: DeviceAddr,
        bytes: usize,
    ) -> Result<(Arc<Block>, usize, Holder), MemoryError> {
        self.session.check()?;
        let table = self.table();
        let found =
            table.range(..=address.raw()).next_back().and_then(|(start, (block, holder))| {
                let offset = usize::try_from(address.raw() - start).ok()?;
                block.has(offset, bytes).then(|| (Arc::clone(block), offset, *holder))
            });
        found.ok_or(MemoryError::OutOfRange { address, bytes })
    }

    /// Live allocations and their bytes.
    pub fn usage(&self) -> (usize, usize) {
        let table = self.table();
        (table.len(), table.values().map(|(block, _)| block.bytes).sum())
    }

    /// Who holds what; nothing of a lost device.
    pub fn report(&self) -> DeviceMemoryReport {
        if self.session.is_lost() { DeviceMemoryReport::default() } else { self.ledger.report() }
    }

    /// Forgets everything: the device is lost.
    pub fn lose(&self) {
        self.table().clear();
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, (Arc<Block>, Holder)>> {
        // Each change is one insertion or removal.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What runs work in.
#[derive(Debug)]
pub struct DeviceArenas {
    session: Arc<Session>,
    made: Option<(Block, Block)>,
    generation: u32,
    ledger: Arc<Ledger>,
}

/// Counts arenas of all devices of the process: the AICPU program may outlive a device, and knows a region by its
/// number.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

impl DeviceArenas {
    /// None yet; what will be made goes into these books.
    pub fn new(session: Arc<Session>, ledger: Arc<Ledger>) -> Self {
        Self { session, made: None, generation: 0, ledger }
    }

    /// Forgets them.
    pub fn lose(&mut self) {
        self.made = None;
    }
}

impl ArenaSource for DeviceArenas {
    fn prepare(
        &mut self,
        shared: usize,
        heap_per_ring: usize,
    ) -> Result<ArenaAddresses, MemoryError> {
        let heap = heap_per_ring
            .checked_mul(RING_COUNT)
            .ok_or(MemoryError::Exhausted { bytes: heap_per_ring })?;
        let kept = self.made.take().filter(|(region, rings)| {
            let fits = (region.bytes, rings.bytes) == (shared, heap);
            if !fits {
                self.ledger.give_back(Holder::RunArena, region.bytes);
                self.ledger.give_back(Holder::RunArena, rings.bytes);
            }
            fits
        });
        let (region, rings) = match kept {
            Some(kept) => kept,
            None => {
                let region = Block::allocate(&self.session, shared)?;
                let rings = Block::allocate(&self.session, heap)?;
                self.ledger.take(Holder::RunArena, shared);
                self.ledger.take(Holder::RunArena, heap);
                // ORDERING: Relaxed: it only has to differ from all others.
                self.generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
                (region, rings)
            }
        };
        let (shared, heap) = (region.address(), rings.address());
        self.made = Some((region, rings));
        Ok(ArenaAddresses { shared, heap, generation: self.generation })
    }
}

#[cfg(test)]
mod tests;
