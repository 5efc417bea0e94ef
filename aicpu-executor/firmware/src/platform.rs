//! The machine as the executor sees it: Linux without a C library, on the AICPU or a host's CPU.
//!
//! Everything that differs between processors is in one submodule each, so this file reads the
//! same for all of them.
//!
//! | module | what |
//! |---|---|
//! | [`clock`] | the counter that deadlines are measured with |
//! | `exceptions` | those that orchestrations let out are caught |
//! | `registers` | core registers with the barriers of boundary D |
//! | `resident_symbols` | what orchestrations import from the libraries of the process |
//! | `thread` | who the calling thread is |
//!
//! Executable memory and cache maintenance are those of `aicpu-linux`, which the simulator uses too.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use aicpu_executor::loader::{Import, SymbolResolver};
#[cfg(not(test))]
use aicpu_executor::log::Speaker;
use aicpu_executor::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};
use aicpu_linux::{Slot, SlotArena, SlotConfig, cache};
use protocol::{CallableId, Chip};
use spin::Mutex;

use crate::c_functions;
#[cfg(not(test))]
use crate::log_transport;
use crate::this_chip::ThisChip;

pub(crate) mod clock;
mod exceptions;
mod registers;
mod resident_symbols;
pub(crate) mod thread;

/// Polls of a wait that stay on the processor before it is offered to others. A poll is some
/// tens of nanoseconds, a core's answer some microseconds: most waits end before.
const SPINS_BEFORE_YIELD: u32 = 256;

/// Where shared objects are staged if there is no other way into executable memory: the folders of
/// the reference, in its order (spec callable §5.2).
const STAGING_FOLDERS: &[&CStr] = &[
    c"/usr/lib64/aicpu_kernels/0/aicpu_kernels_device",
    c"/usr/lib64",
    c"/lib64",
    c"/var/tmp",
    c"/tmp",
];

/// Executable memory. Of the process and not of the platform, which is put together on the stack.
static SLOTS: SlotArena =
    SlotArena::new(SlotConfig { folders: STAGING_FOLDERS, ..SlotConfig::DEFAULT });

/// Linux, by system calls alone.
#[derive(Debug)]
pub(crate) struct LinuxPlatform {
    /// Address of the array of register block addresses; 0 as long as the host has named none.
    register_table: AtomicU64,
    symbols: OfferedSymbols,
}

impl LinuxPlatform {
    /// A platform that knows no cores yet.
    pub(crate) const fn new() -> Self {
        Self { register_table: AtomicU64::new(0), symbols: OfferedSymbols }
    }

    /// Sets the address of the array of register block addresses, one `u64` per physical core id.
    pub(crate) fn set_register_table(&self, table: u64) {
        // ORDERING: Release: the array was filled before.
        self.register_table.store(table, Ordering::Release);
    }
}

/// Offers the processor to another thread.
pub(crate) fn yield_processor() {
    rustix::thread::sched_yield();
}

impl Platform for LinuxPlatform {
    type CodeMemory = Slot;

    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    fn ticks_per_second(&self) -> u64 {
        clock::ticks_per_second()
    }

    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock> {
        // ORDERING: Acquire: see `set_register_table`.
        let table = self.register_table.load(Ordering::Acquire);
        let index = usize::try_from(physical_core).ok()?;
        if index >= ThisChip::PHYSICAL_CORE_LIMIT {
            return None;
        }
        registers::block_address(table, index).map(RegisterBlock)
    }

    fn read_register(&self, block: RegisterBlock, offset: usize) -> u32 {
        registers::read(block, offset)
    }

    fn write_register(&self, block: RegisterBlock, offset: usize, value: u32) {
        registers::write(block, offset, value);
    }

    fn notify_core(&self, _worker: usize) {
        // Cores poll their handshake record, whose words are atomics.
    }

    fn relax(&self, rounds: u32) {
        if rounds < SPINS_BEFORE_YIELD {
            core::hint::spin_loop();
        } else {
            yield_processor();
        }
    }

    fn invalidate_cache(&self, address: u64, bytes: usize) {
        cache::invalidate(address, bytes);
    }

    fn clean_cache(&self, address: u64, bytes: usize) {
        cache::clean(address, bytes);
    }

    fn code_memory(&self, id: CallableId) -> &Mutex<Slot> {
        SLOTS.slot(id)
    }

    fn callable_slots(&self) -> usize {
        SLOTS.capacity()
    }

    #[cfg(not(test))]
    fn begin_speaking(&self, speaker: Speaker) {
        log_transport::begin_speaking(speaker);
    }

    #[cfg(not(test))]
    fn end_speaking(&self) {
        log_transport::end_speaking();
    }

    fn symbols(&self) -> &dyn SymbolResolver {
        &self.symbols
    }

    fn register_unwind(&self, tables: UnwindTables) {
        resident_symbols::tell_unwinder(b"__register_frame", tables.eh_frame);
    }

    fn deregister_unwind(&self, tables: UnwindTables) {
        resident_symbols::tell_unwinder(b"__deregister_frame", tables.eh_frame);
    }

    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        // SAFETY: the caller's promise.
        exceptions::guarded(|| unsafe { call.invoke() })
    }

    unsafe fn call_foreign_in_turn(
        &self,
        calls: impl FnOnce() + Copy,
    ) -> Result<(), ExceptionText> {
        exceptions::guarded(calls)
    }
}

/// What an orchestration can import: the C functions that the firmware itself brings, and what the libraries of
/// the process have.
#[derive(Debug)]
struct OfferedSymbols;

impl SymbolResolver for OfferedSymbols {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        // These functions have no versions: each meets all that an image may ask for.
        c_functions::find(import.name).or_else(|| resident_symbols::find(import))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_has_a_register_block_only_if_the_table_names_one() {
        let blocks: std::vec::Vec<u64> = (0..80).map(|core| core * 0x1000).collect();
        let platform = LinuxPlatform::new();
        assert_eq!(platform.register_block(1), None);
        platform.set_register_table(blocks.as_ptr().expose_provenance() as u64);
        let block = |core| platform.register_block(core).map(|block| block.0);
        assert_eq!(block(0), None);
        assert_eq!(block(1), Some(0x1000));
        assert_eq!(block(74), Some(74 * 0x1000));
        assert_eq!(block(75), None);
        platform.set_register_table(blocks.as_ptr().expose_provenance() as u64 + 1);
        assert_eq!(block(1), None);
    }

    #[test]
    fn a_register_holds_what_was_written_and_its_neighbours_are_untouched() {
        let mut memory = [0_u32; 4];
        let block = RegisterBlock(memory.as_mut_ptr().expose_provenance() as u64);
        let platform = LinuxPlatform::new();
        platform.write_register(block, 8, 0x7FFF_FFFD);
        assert_eq!(platform.read_register(block, 8), 0x7FFF_FFFD);
        assert_eq!(memory, [0, 0, 0x7FFF_FFFD, 0]);
    }

    #[test]
    fn the_clock_advances_by_the_time_that_passes() {
        /// Difference that two clocks of one machine may have over some milliseconds.
        const SLACK_US: u128 = 100;
        let platform = LinuxPlatform::new();
        // One interval of the other clock inside ours, and one around it.
        let outer = std::time::Instant::now();
        let start = platform.ticks();
        let inner = std::time::Instant::now();
        while inner.elapsed() < std::time::Duration::from_millis(5) {
            platform.relax(SPINS_BEFORE_YIELD);
        }
        let at_least = inner.elapsed().as_micros();
        let ticks = platform.ticks() - start;
        let at_most = outer.elapsed().as_micros();
        let passed = u128::from(ticks) * 1_000_000 / u128::from(platform.ticks_per_second());
        assert!(
            passed + SLACK_US >= at_least && passed <= at_most + SLACK_US,
            "{passed} us, but {at_least} to {at_most} us by the other clock"
        );
    }
}
