//! Cache maintenance by address range.
//!
//! The AICPU's caches and the cores are not coherent on the chip: what a core wrote is seen after
//! the lines were invalidated, and what is meant for a core leaves the cache when its lines are
//! cleaned. On x86-64, where only simulated cores exist, memory is coherent and nothing is to do.

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    //! By line, with the instructions that EL0 may use.

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

    /// Does `act` to every line that `[address, address + bytes)` touches.
    pub(super) fn for_each_line(address: u64, bytes: usize, act: LineAct) {
        let (data, instructions) = line_bytes();
        let line = if matches!(act, LineAct::InvalidateInstructions) { instructions } else { data };
        // CAST: addresses have 64 bits here.
        let start = address as usize;
        let end = start.saturating_add(bytes);
        let mut at = start & !(line - 1);
        while at < end {
            // SAFETY: (all) the caller owns the range; these change no contents of memory.
            unsafe {
                match act {
                    LineAct::Clean => core::arch::asm!("dc cvac, {}", in(reg) at),
                    LineAct::CleanAndInvalidate => core::arch::asm!("dc civac, {}", in(reg) at),
                    LineAct::CleanForInstructions => core::arch::asm!("dc cvau, {}", in(reg) at),
                    LineAct::InvalidateInstructions => core::arch::asm!("ic ivau, {}", in(reg) at),
                }
            }
            at += line;
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

/// Makes what others wrote to the range visible to this processor.
#[cfg(target_arch = "aarch64")]
pub(super) fn invalidate(address: u64, bytes: usize) {
    aarch64::for_each_line(address, bytes, aarch64::LineAct::CleanAndInvalidate);
    aarch64::wait_for_system();
}

/// Makes what this processor wrote to the range visible to others.
#[cfg(target_arch = "aarch64")]
pub(super) fn clean(address: u64, bytes: usize) {
    aarch64::for_each_line(address, bytes, aarch64::LineAct::Clean);
    aarch64::wait_for_system();
}

/// Makes new instructions in the range visible to instruction fetches.
#[cfg(target_arch = "aarch64")]
pub(super) fn publish_instructions(address: u64, bytes: usize) {
    aarch64::for_each_line(address, bytes, aarch64::LineAct::CleanForInstructions);
    aarch64::wait_for_processors();
    aarch64::for_each_line(address, bytes, aarch64::LineAct::InvalidateInstructions);
    aarch64::wait_for_processors();
    aarch64::refetch_instructions();
}

/// Makes what others wrote to the range visible to this processor: coherent, a fence is enough.
#[cfg(target_arch = "x86_64")]
pub(super) fn invalidate(_address: u64, _bytes: usize) {
    super::registers::full_barrier();
}

/// Makes what this processor wrote to the range visible to others: coherent, a fence is enough.
#[cfg(target_arch = "x86_64")]
pub(super) fn clean(_address: u64, _bytes: usize) {
    super::registers::full_barrier();
}

/// Makes new instructions in the range visible to instruction fetches: they are, on x86-64.
#[cfg(target_arch = "x86_64")]
pub(super) fn publish_instructions(_address: u64, _bytes: usize) {}
