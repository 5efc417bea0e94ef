//! Code memory that is a plain vector and keeps account of everything the loader does.
//!
//! The image lies between two red zones of a pattern that nobody may touch. Copying gets the rear
//! one as well, so that a copy which does not stop at the span shows; writes are lent segment by
//! segment, as the trait asks, and anything else is a violation.

use std::cell::Cell;

use aicpu_executor::loader::{
    CodeMemory, MemoryError, MemoryOperation, Plan, Protection, copy_segments,
};

/// What fresh memory is filled with, so that a byte the loader forgot shows.
pub const POISON: u8 = 0xa5;

/// What the red zones are filled with.
const RED: u8 = 0x5a;

/// Bytes of each red zone.
const RED_BYTES: usize = 4096;

/// Where checked memory says that it begins.
pub const BASE: u64 = 0x7f12_3450_0000;

/// A checked slot.
pub struct CheckedMemory {
    pub base: u64,
    pub page_bytes: usize,
    /// Rights of each page.
    pub pages: Vec<Protection>,
    /// What the loader must never do, in order.
    pub violations: Vec<String>,
    pub is_reserved: bool,
    pub is_sealed: bool,
    /// Operations done so far.
    pub operations: Cell<usize>,
    /// The operation that fails, if any.
    pub fail_at: Option<usize>,
    /// Red zone, span, red zone; empty without an image.
    memory: Vec<u8>,
    /// Offset and bytes of the writable segments.
    writable: Vec<(usize, usize)>,
}

impl CheckedMemory {
    pub fn new() -> Self {
        Self {
            base: BASE,
            page_bytes: 4096,
            pages: Vec::new(),
            violations: Vec::new(),
            is_reserved: false,
            is_sealed: false,
            operations: Cell::new(0),
            fail_at: None,
            memory: Vec::new(),
            writable: Vec::new(),
        }
    }

    /// Returns the bytes of the image, from its first page to its last; none without an image.
    pub fn bytes(&self) -> &[u8] {
        let end = self.memory.len().saturating_sub(RED_BYTES);
        self.memory.get(RED_BYTES..end).unwrap_or_default()
    }

    /// Returns the word at an address of the image linked at 0.
    pub fn word(&self, vaddr: u64) -> u64 {
        let place = vaddr as usize;
        u64::from_le_bytes(self.bytes()[place..place + 8].try_into().expect("eight bytes"))
    }

    /// Tells whether nobody has touched the red zones.
    pub fn red_zones_are_intact(&self) -> bool {
        let zone = [RED; RED_BYTES];
        self.memory.is_empty() || self.memory.starts_with(&zone) && self.memory.ends_with(&zone)
    }

    /// Counts an operation, and fails if its turn has come.
    fn count(
        &self,
        operation: MemoryOperation,
        offset: usize,
        length: usize,
    ) -> Result<(), MemoryError> {
        self.operations.set(self.operations.get() + 1);
        match self.fail_at {
            Some(turn) if turn == self.operations.get() => {
                Err(MemoryError { operation, offset, length, os_error: 12 })
            }
            _ => Ok(()),
        }
    }
}

impl CodeMemory for CheckedMemory {
    fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let (span, align) = (plan.span(), plan.align());
        self.count(MemoryOperation::Place, 0, span)?;
        if self.is_reserved || !span.is_multiple_of(self.page_bytes) || !align.is_power_of_two() {
            self.violations.push(format!("place {span:#x} at {align:#x}"));
        }
        self.is_reserved = true;
        self.memory = vec![RED; span + 2 * RED_BYTES];
        self.memory[RED_BYTES..RED_BYTES + span].fill(POISON);
        self.pages = vec![Protection::READ | Protection::WRITE; span / self.page_bytes];
        let writable = |rights: Protection| rights.contains(Protection::WRITE);
        self.writable = plan
            .segments()
            .iter()
            .filter(|segment| writable(segment.protection))
            .map(|segment| ((segment.vaddr - plan.start()) as usize, segment.memory_bytes as usize))
            .collect();
        copy_segments(plan, &mut self.memory[RED_BYTES..])?;
        if !self.red_zones_are_intact() {
            self.violations.push("copied into a red zone".into());
        }
        Ok(self.base)
    }

    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError> {
        let operation = MemoryOperation::Write;
        self.count(operation, offset, bytes)?;
        let refused = MemoryError { operation, offset, length: bytes, os_error: 0 };
        let end = offset.checked_add(bytes).ok_or(refused)?;
        if !self.is_reserved || self.is_sealed {
            self.violations.push(format!("write of {bytes:#x} at {offset:#x}: sealed"));
            return Err(refused);
        }
        let lent = |(start, size): &(usize, usize)| *start <= offset && end <= start + size;
        if !self.writable.iter().any(lent) {
            self.violations.push(format!("write of {bytes:#x} at {offset:#x} is outside"));
            return Err(refused);
        }
        self.memory.get_mut(RED_BYTES + offset..RED_BYTES + end).ok_or(refused)
    }

    fn seal(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError> {
        self.count(MemoryOperation::Protect, 0, plan.span())?;
        self.is_sealed = true;
        let mut end = 0;
        for run in plan.pages().runs() {
            if run.offset != end || run.bytes == 0 || !run.bytes.is_multiple_of(self.page_bytes) {
                self.violations.push(format!("{run:?} behind {end:#x}"));
            }
            end = run.offset + run.bytes;
            if run.protection.contains(Protection::WRITE | Protection::EXECUTE) {
                self.violations.push(format!("{run:?}: W+X"));
            }
            let pages = run.offset / self.page_bytes..end / self.page_bytes;
            self.pages[pages].fill(run.protection);
        }
        if end != plan.span() {
            self.violations.push(format!("the runs end at {end:#x}"));
        }
        if !self.red_zones_are_intact() {
            self.violations.push("wrote into a red zone".into());
        }
        Ok(())
    }

    fn release(&mut self) {
        if !self.red_zones_are_intact() {
            self.violations.push("wrote into a red zone".into());
        }
        self.is_reserved = false;
        self.is_sealed = false;
        self.memory = Vec::new();
        self.pages = Vec::new();
        self.writable = Vec::new();
    }
}
