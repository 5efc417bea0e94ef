//! The register blocks through which AICPU threads and simulated cores talk.
//!
//! A chip maps a page range per core; of that the protocol uses three words. So a block here is
//! just those words, each on the cache line of its writer, and the base address of a block is the
//! address of that record. Addresses that come back are looked up, never dereferenced.
//!
//! | word      | written by | read by |
//! |-----------|------------|---------|
//! | dispatch  | AICPU      | core    |
//! | fast path | AICPU      | nobody  |
//! | condition | core       | AICPU   |

use std::sync::atomic::{AtomicU32, Ordering};

use protocol::{Chip, ConditionWord, DispatchWord};

/// The words of one core.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct CoreRegisters {
    to_core: ToCore,
    from_core: FromCore,
}

/// The line that the AICPU writes.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct ToCore {
    dispatch: AtomicU32,
    fast_path: AtomicU32,
}

/// The line that the core writes.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct FromCore {
    condition: AtomicU32,
}

impl CoreRegisters {
    /// What the AICPU wants the core to do. Whatever it wrote before is visible afterwards.
    #[inline]
    pub fn dispatch(&self) -> DispatchWord {
        // ORDERING: Acquire pairs with the Release store in `Registers::write`: a core that sees
        // a task id sees that task's payload.
        DispatchWord::from_raw(self.to_core.dispatch.load(Ordering::Acquire))
    }

    /// Tells the AICPU what the core does. Whatever the core wrote before becomes visible with it.
    #[inline]
    pub fn set_condition(&self, word: ConditionWord) {
        // ORDERING: Release pairs with the Acquire load in `Registers::read`: an AICPU thread that
        // sees a task ended sees its outputs.
        self.from_core.condition.store(word.raw(), Ordering::Release);
    }

    /// What the core has told last. Whatever it wrote before is visible afterwards.
    pub fn condition(&self) -> ConditionWord {
        // ORDERING: Acquire: see `set_condition`.
        ConditionWord::from_raw(self.from_core.condition.load(Ordering::Acquire))
    }

    /// Clears the words, as the device does between two runs.
    pub fn reset(&self) {
        // ORDERING: Relaxed: no run is in flight; starting one publishes these stores.
        self.to_core.dispatch.store(0, Ordering::Relaxed);
        self.to_core.fast_path.store(0, Ordering::Relaxed);
        self.from_core.condition.store(0, Ordering::Relaxed);
    }
}

/// The register blocks of all cores of a device.
#[derive(Debug)]
pub struct Registers {
    blocks: Box<[CoreRegisters]>,
}

/// A write that a core has to react to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doorbell {
    /// Index of the core.
    pub core: usize,
    /// The word that was written.
    pub word: DispatchWord,
}

impl Registers {
    /// Blocks for `cores` cores, all words zero.
    pub fn new(cores: usize) -> Self {
        Self { blocks: (0..cores).map(|_| CoreRegisters::default()).collect() }
    }

    /// The words of core `core`.
    pub fn core(&self, core: usize) -> Option<&CoreRegisters> {
        self.blocks.get(core)
    }

    /// Base address of the block of core `core`.
    pub fn block_address(&self, core: usize) -> Option<u64> {
        // CAST: usize is 64 bits on the supported targets.
        self.blocks.get(core).map(|block| (&raw const *block).addr() as u64)
    }

    /// Index of the core whose block starts at `address`.
    #[inline]
    fn core_at(&self, address: u64) -> Option<usize> {
        // CAST (both): usize is 64 bits on the supported targets. An address below the first block comes
        // out as an index beyond the last one.
        let offset = address.wrapping_sub(self.blocks.as_ptr().addr() as u64) as usize;
        let index = offset / size_of::<CoreRegisters>();
        (offset.is_multiple_of(size_of::<CoreRegisters>()) && index < self.blocks.len())
            .then_some(index)
    }

    /// Reads the word at `offset` of the block at `address`; `None` where there is none.
    #[inline]
    pub fn read<C: Chip>(&self, address: u64, offset: usize) -> Option<u32> {
        let block = &self.blocks[self.core_at(address)?];
        let word = if offset == C::COND {
            &block.from_core.condition
        } else if offset == C::DATA_MAIN_BASE {
            &block.to_core.dispatch
        } else if Some(offset) == C::FAST_PATH_ENABLE {
            &block.to_core.fast_path
        } else {
            return None;
        };
        // ORDERING: Acquire: see `CoreRegisters::set_condition`.
        Some(word.load(Ordering::Acquire))
    }

    /// Writes the word at `offset` of the block at `address`.
    ///
    /// Returns the core to be woken, `Ok(None)` if no core looks at the word, and an error if there
    /// is no such word or the core owns it.
    ///
    /// # Errors
    ///
    /// [`NoSuchRegister`].
    #[inline]
    pub fn write<C: Chip>(
        &self,
        address: u64,
        offset: usize,
        value: u32,
    ) -> Result<Option<Doorbell>, NoSuchRegister> {
        let missing = NoSuchRegister { address, offset };
        let core = self.core_at(address).ok_or(missing)?;
        let block = &self.blocks[core];
        if offset == C::DATA_MAIN_BASE {
            // ORDERING: Release: see `CoreRegisters::dispatch`.
            block.to_core.dispatch.store(value, Ordering::Release);
            Ok(Some(Doorbell { core, word: DispatchWord::from_raw(value) }))
        } else if Some(offset) == C::FAST_PATH_ENABLE {
            // ORDERING: Relaxed: nobody reads it for its meaning.
            block.to_core.fast_path.store(value, Ordering::Relaxed);
            Ok(None)
        } else {
            Err(missing)
        }
    }
}

/// An access to a register that the simulated device has not, or that is not the AICPU's to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no writable register at offset {offset:#x} of block {address:#x}")]
pub struct NoSuchRegister {
    /// The block's address, as given.
    pub address: u64,
    /// The offset in the block, in bytes.
    pub offset: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{A2a3, A5, DispatchId};

    fn words_travel_both_ways<C: Chip>() {
        let registers = Registers::new(3);
        let address = registers.block_address(2).unwrap();
        let doorbell = registers.write::<C>(address, C::DATA_MAIN_BASE, 7).unwrap().unwrap();
        assert_eq!((doorbell.core, doorbell.word.raw()), (2, 7));
        let core = registers.core(2).unwrap();
        assert_eq!(core.dispatch().raw(), 7);
        core.set_condition(ConditionWord::fin(DispatchId::new(7).unwrap()));
        assert_eq!(registers.read::<C>(address, C::COND), Some(0x8000_0007));
        assert_eq!(registers.core(1).unwrap().dispatch().raw(), 0);
        core.reset();
        assert_eq!(registers.read::<C>(address, C::COND), Some(0));
    }

    #[test]
    fn words_travel_both_ways_on_either_chip() {
        words_travel_both_ways::<A2a3>();
        words_travel_both_ways::<A5>();
    }

    #[test]
    fn addresses_that_name_no_block_are_refused() {
        let registers = Registers::new(2);
        let first = registers.block_address(0).unwrap();
        assert_eq!(registers.block_address(2), None);
        for address in [0, first - 1, first + 1, first + 256, u64::MAX] {
            assert_eq!(registers.read::<A2a3>(address, A2a3::COND), None, "{address:#x}");
            assert!(registers.write::<A2a3>(address, A2a3::DATA_MAIN_BASE, 1).is_err());
        }
        assert_eq!(registers.read::<A2a3>(first + 128, A2a3::COND), Some(0));
    }

    #[test]
    fn a_core_owned_word_cannot_be_written_from_outside() {
        let registers = Registers::new(1);
        let block = registers.block_address(0).unwrap();
        assert!(registers.write::<A2a3>(block, A2a3::COND, 1).is_err());
        assert_eq!(registers.write::<A2a3>(block, 0x18, 0xE), Ok(None));
        assert!(registers.write::<A5>(block, 0x18, 0xE).is_err(), "a5 has no fast path");
    }
}
