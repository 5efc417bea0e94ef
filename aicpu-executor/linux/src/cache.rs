//! Cache maintenance by address range.
//!
//! The AICPU's caches and the cores are not coherent on the chip: what a core wrote is seen after
//! the lines were invalidated, and what is meant for a core leaves the cache when its lines are
//! cleaned. Instruction caches are not coherent with data caches either. On x86-64, where only
//! simulated cores exist, all of them are: a fence is all that is to do.
//!
//! The ranges are memory that is mapped and readable. A line that is not faults, as a load of it
//! would; no call changes the contents of memory.

/// The lines of `bytes` bytes each that `[address, address + length)` touches, by address.
///
/// `bytes` is a power of two. A range that would wrap ends at the end of the address space.
#[cfg(any(test, target_arch = "aarch64"))]
fn lines(address: u64, length: usize, bytes: usize) -> impl Iterator<Item = usize> {
    // CAST: both targets have 64-bit addresses.
    let start = address as usize;
    let end = start.saturating_add(length);
    // No line for an empty range, wherever in a line it lies.
    let first = if length == 0 { end } else { start & !(bytes - 1) };
    (first..end).step_by(bytes)
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    //! By line, with the instructions that EL0 may use.

    use super::lines;

    /// What to do with each line of a range.
    #[derive(Clone, Copy)]
    pub(super) enum LineAct {
        /// Write it back to memory.
        Clean,
        /// Write it back and forget it. EL0 cannot forget a line without writing it back.
        CleanAndInvalidate,
        /// Write it back to where instruction fetches find it.
        CleanForInstructions,
        /// Forget it in the instruction caches.
        InvalidateInstructions,
    }

    /// Bytes of the smallest data and instruction cache lines.
    fn line_bytes() -> (usize, usize) {
        let types: usize;
        // SAFETY: the register is readable at EL0 under Linux.
        unsafe {
            core::arch::asm!("mrs {types}, ctr_el0", types = out(reg) types, options(nostack, nomem));
        }
        // Logarithms of the line sizes in words of four bytes: data in bits 16..20, code in 0..4.
        (4 << (types >> 16 & 0xF), 4 << (types & 0xF))
    }

    /// Does `act` to every line that `[address, address + length)` touches.
    pub(super) fn for_each_line(address: u64, length: usize, act: LineAct) {
        let (data, instructions) = line_bytes();
        let bytes =
            if matches!(act, LineAct::InvalidateInstructions) { instructions } else { data };
        for line in lines(address, length, bytes) {
            // SAFETY: (all) these change no contents of memory.
            unsafe {
                match act {
                    LineAct::Clean => core::arch::asm!("dc cvac, {}", in(reg) line),
                    LineAct::CleanAndInvalidate => core::arch::asm!("dc civac, {}", in(reg) line),
                    LineAct::CleanForInstructions => core::arch::asm!("dc cvau, {}", in(reg) line),
                    LineAct::InvalidateInstructions => {
                        core::arch::asm!("ic ivau, {}", in(reg) line);
                    }
                }
            }
        }
    }

    /// Waits until maintenance has reached every observer of the system.
    pub(super) fn wait_for_system() {
        // SAFETY: a barrier changes nothing.
        unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) };
    }

    /// Waits until maintenance has reached all processors of the operating system.
    pub(super) fn wait_for_processors() {
        // SAFETY: a barrier changes nothing.
        unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) };
    }

    /// Drops instructions that this processor has fetched ahead.
    pub(super) fn refetch_instructions() {
        // SAFETY: a barrier changes nothing.
        unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
    }
}

/// Makes what others wrote to the `bytes` bytes at `address` visible to this processor.
#[cfg(target_arch = "aarch64")]
pub fn invalidate(address: u64, bytes: usize) {
    aarch64::for_each_line(address, bytes, aarch64::LineAct::CleanAndInvalidate);
    aarch64::wait_for_system();
}

/// Makes what this processor wrote to the `bytes` bytes at `address` visible to others.
#[cfg(target_arch = "aarch64")]
pub fn clean(address: u64, bytes: usize) {
    aarch64::for_each_line(address, bytes, aarch64::LineAct::Clean);
    aarch64::wait_for_system();
}

/// Makes new instructions visible to instruction fetches: `bytes` bytes that were written at
/// `written` and are run at `run`, two addresses of the same memory.
///
/// Cleans the data cache to the point of unification and invalidates the instruction caches, line
/// by line (Arm ARM, B2.4.4). Data caches behave as if they were looked up by physical address, so
/// either address would do for them; instruction caches need not, so only the one that is run does.
///
/// The instruction caches of all processors hear of it, but each drops what it has fetched ahead
/// only at its own `isb` or at an exception. This processor does so here. Another one that calls
/// the code learned of it from this one, through a system call or an `isb` of its own.
#[cfg(target_arch = "aarch64")]
pub fn publish_instructions(written: u64, run: u64, bytes: usize) {
    aarch64::for_each_line(written, bytes, aarch64::LineAct::CleanForInstructions);
    aarch64::wait_for_processors();
    aarch64::for_each_line(run, bytes, aarch64::LineAct::InvalidateInstructions);
    aarch64::wait_for_processors();
    aarch64::refetch_instructions();
}

/// Orders all accesses before it against all after it: all that coherent memory needs.
#[cfg(target_arch = "x86_64")]
fn fence() {
    // ORDERING: SeqCst: the one fence that orders a store before a later load.
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Makes what others wrote to the range visible to this processor: coherent, a fence is enough.
#[cfg(target_arch = "x86_64")]
pub fn invalidate(_address: u64, _bytes: usize) {
    fence();
}

/// Makes what this processor wrote to the range visible to others: coherent, a fence is enough.
#[cfg(target_arch = "x86_64")]
pub fn clean(_address: u64, _bytes: usize) {
    fence();
}

/// Makes new instructions visible to instruction fetches: they are, on x86-64, whatever address
/// they were written at.
#[cfg(target_arch = "x86_64")]
pub fn publish_instructions(_written: u64, _run: u64, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_range_touches_the_lines_of_its_first_and_last_byte_and_all_between() {
        for (address, length, expected) in [
            (0x1000, 64, &[0x1000][..]),
            (0x1000, 65, &[0x1000, 0x1040]),
            (0x103F, 2, &[0x1000, 0x1040]),
            (0x1041, 0x80, &[0x1040, 0x1080, 0x10C0]),
            (0x1041, 0, &[]),
            (u64::MAX - 70, usize::MAX, &[usize::MAX - 127, usize::MAX - 63]),
        ] {
            let touched: Vec<_> = lines(address, length, 64).collect();
            assert_eq!(touched, expected, "{address:#x} {length:#x}");
        }
    }

    #[test]
    fn maintenance_leaves_the_contents_as_they_are() {
        let bytes: Vec<u8> = (0..=255).collect();
        let address = bytes.as_ptr().expose_provenance() as u64;
        clean(address + 3, 200);
        invalidate(address + 3, 200);
        publish_instructions(address + 3, address + 3, 200);
        assert!(bytes.iter().zip(0..=255).all(|(&byte, expected)| byte == expected));
    }
}
