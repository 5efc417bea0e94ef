//! Code memory that is a plain vector and keeps account of everything the loader does.

use std::cell::Cell;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};

/// What fresh memory is filled with, so that a byte the loader forgot shows.
pub const POISON: u8 = 0xa5;

/// Where checked memory says that it begins.
pub const BASE: u64 = 0x7f12_3450_0000;

/// A checked slot.
pub struct CheckedMemory {
    pub base: u64,
    pub page_bytes: usize,
    pub bytes: Vec<u8>,
    /// Rights of each page.
    pub pages: Vec<Protection>,
    /// Ranges whose instructions were made visible.
    pub synchronised: Vec<(usize, usize)>,
    /// What the loader must never do, in order.
    pub violations: Vec<String>,
    pub is_reserved: bool,
    /// Operations done so far.
    pub operations: Cell<usize>,
    /// The operation that fails, if any.
    pub fail_at: Option<usize>,
}

impl CheckedMemory {
    pub fn new() -> Self {
        Self {
            base: BASE,
            page_bytes: 4096,
            bytes: Vec::new(),
            pages: Vec::new(),
            synchronised: Vec::new(),
            violations: Vec::new(),
            is_reserved: false,
            operations: Cell::new(0),
            fail_at: None,
        }
    }

    /// Returns the word at an address of the image linked at 0.
    pub fn word(&self, vaddr: u64) -> u64 {
        let place = vaddr as usize;
        u64::from_le_bytes(self.bytes[place..place + 8].try_into().expect("eight bytes"))
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

    /// Counts an operation, and checks that its range is inside and has the right.
    fn check(
        &mut self,
        operation: MemoryOperation,
        offset: usize,
        length: usize,
        right: Protection,
    ) -> Result<(), MemoryError> {
        self.count(operation, offset, length)?;
        let end = offset.checked_add(length);
        if !self.is_reserved || end.is_none_or(|end| end > self.bytes.len()) {
            self.violations.push(format!("{operation:?} of {length:#x} at {offset:#x} is outside"));
            return Err(MemoryError { operation, offset, length, os_error: 0 });
        }
        let pages = offset / self.page_bytes..(offset + length).div_ceil(self.page_bytes);
        if self.pages[pages].iter().any(|page| !page.contains(right)) {
            self.violations.push(format!("{operation:?} of {length:#x} at {offset:#x}: sealed"));
            return Err(MemoryError { operation, offset, length, os_error: 0 });
        }
        Ok(())
    }
}

impl CodeMemory for CheckedMemory {
    fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError> {
        let operation = MemoryOperation::Reserve;
        self.count(operation, 0, span)?;
        if self.is_reserved || !span.is_multiple_of(self.page_bytes) || !align.is_power_of_two() {
            self.violations.push(format!("reserve {span:#x} at {align:#x}"));
        }
        self.is_reserved = true;
        self.bytes = vec![POISON; span];
        self.pages = vec![Protection::READ | Protection::WRITE; span / self.page_bytes];
        Ok(self.base)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), MemoryError> {
        self.check(MemoryOperation::Write, offset, bytes.len(), Protection::WRITE)?;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let operation = MemoryOperation::Read;
        let length = bytes.len();
        self.count(operation, offset, length)?;
        let refused = MemoryError { operation, offset, length, os_error: 0 };
        let range = offset..offset.checked_add(length).ok_or(refused)?;
        bytes.copy_from_slice(self.bytes.get(range).ok_or(refused)?);
        Ok(())
    }

    fn zero(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        self.check(MemoryOperation::Zero, offset, length, Protection::WRITE)?;
        self.bytes[offset..offset + length].fill(0);
        Ok(())
    }

    fn protect(
        &mut self,
        offset: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MemoryError> {
        self.check(MemoryOperation::Protect, offset, length, Protection::empty())?;
        if !(offset | length).is_multiple_of(self.page_bytes) {
            self.violations.push(format!("protect {length:#x} at {offset:#x}: not pages"));
        }
        if protection.contains(Protection::WRITE | Protection::EXECUTE) {
            self.violations.push(format!("protect {length:#x} at {offset:#x}: W+X"));
        }
        self.pages[offset / self.page_bytes..(offset + length) / self.page_bytes].fill(protection);
        Ok(())
    }

    fn sync_instruction_cache(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        let right = Protection::EXECUTE;
        self.check(MemoryOperation::SyncInstructionCache, offset, length, right)?;
        self.synchronised.push((offset, length));
        Ok(())
    }

    fn release(&mut self) {
        self.is_reserved = false;
        self.bytes = Vec::new();
        self.pages = Vec::new();
        self.synchronised = Vec::new();
    }
}
