//! Kernels in device memory, once for equal bytes.
//!
//! The cores' loop calls the address that a kernel's record names: that of the binary behind it. What the
//! binary is, is between the compiler and the cores; here it is bytes.

use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::callable::parse::CoreCallableView;
use protocol::{CORE_BINARY_OFFSET, CoreCallable, DeviceAddr};

use super::memory::DeviceMemory;
use crate::device::{Holder, KernelError, Uploaded};
use crate::registry::content::{ContentId, ContentIndex};

#[derive(Debug)]
struct Kernel {
    content: ContentId,
    references: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// Whole records, with the entry's address as zero.
    contents: ContentIndex,
    by_content: HashMap<ContentId, DeviceAddr>,
    by_record: HashMap<DeviceAddr, Kernel>,
}

/// All kernels on a device.
#[derive(Debug, Default)]
pub struct Kernels(Mutex<Table>);

impl Kernels {
    /// Uploads a kernel, or takes another reference to one with the same bytes.
    ///
    /// # Errors
    ///
    /// [`KernelError`]; nothing stays behind then.
    pub fn load(
        &self,
        kernel: &CoreCallableView<'_>,
        memory: &DeviceMemory,
    ) -> Result<Uploaded, KernelError> {
        let bytes = with_entry(kernel.blob.to_vec(), 0);
        // Locked to the end: who wants the same bytes meanwhile finds them.
        let mut table = self.table();
        let content = table.contents.insert(&bytes);
        if let Some(&address) = table.by_content.get(&content) {
            if let Some(kernel) = table.by_record.get_mut(&address) {
                kernel.references += 1;
            }
            return Ok(Uploaded { address, was_there: true });
        }
        let uploaded = memory.allocate_made(bytes.len(), Holder::Kernel, |address| {
            // CAST: a small constant.
            with_entry(bytes, address.raw() + CORE_BINARY_OFFSET as u64)
        });
        let address = match uploaded {
            Ok(address) => address,
            Err(error) => {
                table.contents.remove(content);
                return Err(error.into());
            }
        };
        table.by_content.insert(content, address);
        table.by_record.insert(address, Kernel { content, references: 1 });
        Ok(Uploaded { address, was_there: false })
    }

    /// Gives a reference back; the last one frees the kernel.
    ///
    /// # Errors
    ///
    /// [`KernelError::Unknown`] and [`KernelError::Memory`].
    pub fn unload(&self, record: DeviceAddr, memory: &DeviceMemory) -> Result<(), KernelError> {
        let mut table = self.table();
        let kernel =
            table.by_record.get_mut(&record).ok_or(KernelError::Unknown { address: record })?;
        kernel.references -= 1;
        if kernel.references > 0 {
            return Ok(());
        }
        let content = kernel.content;
        table.by_record.remove(&record);
        table.by_content.remove(&content);
        table.contents.remove(content);
        drop(table);
        Ok(memory.free(record)?)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.table().by_record.len()
    }

    /// Forgets all: the device is lost.
    pub fn lose(&self) {
        *self.table() = Table::default();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kernel's record with the address of its entry set.
fn with_entry(mut record: Vec<u8>, entry: u64) -> Vec<u8> {
    let at = offset_of!(CoreCallable, resolved_addr);
    if let Some(field) = record.get_mut(at..at + size_of::<u64>()) {
        field.copy_from_slice(&entry.to_le_bytes());
    }
    record
}
