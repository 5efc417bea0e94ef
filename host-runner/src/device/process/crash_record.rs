//! What the program leaves behind when a signal ends it: numbers only, written by a signal handler.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Calls that are noted, the innermost first.
pub(super) const FRAMES_MAX: usize = 48;

/// How far the handler has come.
const BEGUN: u32 = 1;
const HAS_REGISTERS: u32 = 2;
const HAS_FRAMES: u32 = 3;

/// The record; zeros say that nothing has happened.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct CrashRecord {
    stage: AtomicU32,
    signal: AtomicI32,
    code: AtomicI32,
    /// The core whose kernel the thread was in, counted from 1; 0 for none.
    core: AtomicU32,
    address: AtomicU64,
    instruction: AtomicU64,
    caller: AtomicU64,
    stack: AtomicU64,
    thread: [AtomicU64; 2],
    frame_count: AtomicU32,
    frames: [AtomicU64; FRAMES_MAX],
}

/// What a handler knows at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Registers {
    /// The signal.
    pub(super) signal: i32,
    /// What the system says about it (`si_code`).
    pub(super) code: i32,
    /// The address that was touched, if the signal is about one.
    pub(super) address: u64,
    /// The instruction that was to be executed.
    pub(super) instruction: u64,
    /// Where the function that was called last returns to, as far as that can be told; 0 where not.
    pub(super) caller: u64,
    /// The stack pointer.
    pub(super) stack: u64,
    /// Index of the core whose kernel the thread was in.
    pub(super) core: Option<u32>,
    /// Name of the thread, cut.
    pub(super) thread: [u8; 16],
}

/// What is read of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crashed {
    /// What was known at once.
    pub(super) registers: Registers,
    /// Addresses of the calls, the innermost first; empty where the stack could not be walked.
    pub(super) frames: Vec<u64>,
}

impl CrashRecord {
    /// Takes the record for a handler; false where another thread has it already.
    pub(super) fn begin(&self) -> bool {
        // ORDERING: AcqRel: one of several threads gets it.
        self.stage.compare_exchange(0, BEGUN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Notes what is known at once.
    pub(super) fn put(&self, registers: &Registers) {
        // ORDERING: Relaxed (all), published by the Release store of the stage.
        self.signal.store(registers.signal, Ordering::Relaxed);
        self.code.store(registers.code, Ordering::Relaxed);
        self.core.store(registers.core.map_or(0, |core| core + 1), Ordering::Relaxed);
        self.address.store(registers.address, Ordering::Relaxed);
        self.instruction.store(registers.instruction, Ordering::Relaxed);
        self.caller.store(registers.caller, Ordering::Relaxed);
        self.stack.store(registers.stack, Ordering::Relaxed);
        let name = u128::from_le_bytes(registers.thread);
        // CAST: (both) the lower and the upper half.
        self.thread[0].store(name as u64, Ordering::Relaxed);
        self.thread[1].store((name >> 64) as u64, Ordering::Relaxed);
        self.stage.store(HAS_REGISTERS, Ordering::Release);
    }

    /// Notes a call; false when there is no more room.
    pub(super) fn push(&self, address: u64) -> bool {
        let count = self.frame_count.load(Ordering::Relaxed);
        // CAST: usize is at least 32 bits.
        let Some(place) = self.frames.get(count as usize) else { return false };
        place.store(address, Ordering::Relaxed);
        // ORDERING: Release: who sees the count sees the call, also if the walk breaks off here.
        self.frame_count.store(count + 1, Ordering::Release);
        true
    }

    /// All calls are noted.
    pub(super) fn end(&self) {
        self.stage.store(HAS_FRAMES, Ordering::Release);
    }

    /// What is there; `None` where no handler got as far as its registers.
    pub(super) fn read(&self) -> Option<Crashed> {
        // ORDERING: Acquire: sees what was written before.
        if self.stage.load(Ordering::Acquire) < HAS_REGISTERS {
            return None;
        }
        let half = |index: usize| u128::from(self.thread[index].load(Ordering::Relaxed));
        let registers = Registers {
            signal: self.signal.load(Ordering::Relaxed),
            code: self.code.load(Ordering::Relaxed),
            core: self.core.load(Ordering::Relaxed).checked_sub(1),
            address: self.address.load(Ordering::Relaxed),
            instruction: self.instruction.load(Ordering::Relaxed),
            caller: self.caller.load(Ordering::Relaxed),
            stack: self.stack.load(Ordering::Relaxed),
            thread: (half(0) | half(1) << 64).to_le_bytes(),
        };
        // ORDERING: Acquire: see `push`.
        let count = self.frame_count.load(Ordering::Acquire) as usize;
        let frames = self.frames.iter().take(count).map(|frame| frame.load(Ordering::Relaxed));
        Some(Crashed { registers, frames: frames.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_handler_writes_and_what_it_wrote_is_read() {
        // SAFETY: zeros are a record.
        let record: CrashRecord = unsafe { core::mem::zeroed() };
        assert_eq!(record.read(), None);
        assert!(record.begin() && !record.begin());
        assert_eq!(record.read(), None);
        let thread = *b"sim-core-3\0\0\0\0\0\0";
        let registers = Registers {
            signal: 11,
            address: u64::MAX,
            core: Some(0),
            thread,
            ..Registers::default()
        };
        record.put(&registers);
        assert!((0..FRAMES_MAX as u64).all(|frame| record.push(frame)) && !record.push(1));
        record.end();
        let crashed = record.read().unwrap();
        assert_eq!(crashed.registers, registers);
        assert_eq!(crashed.frames, (0..FRAMES_MAX as u64).collect::<Vec<_>>());
    }
}
