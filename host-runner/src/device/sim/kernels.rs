//! The kernels that are loaded on the simulated device.
//!
//! A kernel belongs to its callable, never to its func id: two callables may use one func id for
//! different kernels (spec callable §7.1 H3). Equal bytes, compared in full, are loaded once and
//! counted. What the AICPU gets is the address of a copy of the kernel's record in device memory,
//! with the address of its entry filled in; the caller's bytes stay as they are.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::File;
use std::mem::offset_of;
use std::sync::Arc;

use libloading::os::unix::Library;
use protocol::callable::parse::CoreCallableView;
use protocol::{CoreCallable, DeviceAddr, KERNEL_ENTRY_SYMBOL};

use super::anonymous_library::{self, OpenError};
use super::guarded_call::guarded;
use super::kernel_hooks::{self, REGISTER_HOOKS_SYMBOL, RegisterHooks};
use super::memory::DeviceMemory;
use crate::device::KernelError;
use crate::device::image;

/// One loaded kernel.
#[derive(Debug)]
struct Kernel {
    /// Keeps the code mapped.
    _library: Library,
    /// The file that a debugger reads, if it is to find one.
    _file: Option<File>,
    /// Its record in device memory.
    record: DeviceAddr,
    references: usize,
}

/// All loaded kernels.
#[derive(Debug, Default)]
pub struct Kernels {
    /// By the bytes of the whole record, with the entry's address as zero.
    by_bytes: HashMap<Arc<[u8]>, Kernel>,
    by_record: HashMap<DeviceAddr, Arc<[u8]>>,
    keeps_files: bool,
}

impl Kernels {
    /// Keeps the files of kernels that are loaded from now on open, one descriptor each, so that a
    /// debugger that comes later can read them.
    pub fn keep_files(&mut self) {
        self.keeps_files = true;
    }

    /// Loads a kernel, or takes another reference to one with the same bytes.
    ///
    /// Returns the address of its record in device memory.
    ///
    /// # Errors
    ///
    /// [`KernelError`]; nothing stays behind then.
    pub fn load(
        &mut self,
        kernel: &CoreCallableView<'_>,
        memory: &mut DeviceMemory,
    ) -> Result<DeviceAddr, KernelError> {
        let bytes = with_entry(kernel.blob, 0);
        if let Some(kernel) = self.by_bytes.get_mut(bytes.as_slice()) {
            kernel.references += 1;
            return Ok(kernel.record);
        }
        image::check(kernel.binary, KERNEL_ENTRY_SYMBOL)?;
        // SAFETY: the user registers the kernel to run it in this process; it has been checked.
        let (library, file) = unsafe { anonymous_library::open("kernel", kernel.binary) }?;
        // SAFETY: only the address of the symbol is used.
        let entry = unsafe { library.get::<*const c_void>(KERNEL_ENTRY_SYMBOL.as_bytes()) };
        let entry = entry.map_err(loader_error)?.into_raw();
        register_hooks(&library)?;

        let record = memory.allocate(bytes.len())?;
        // CAST: usize is 64 bits on the supported targets. Exposed: cores call it by number.
        let resolved = with_entry(&bytes, entry.expose_provenance() as u64);
        if let Err(error) = memory.copy_in(record, &resolved) {
            memory.free(record)?;
            return Err(error.into());
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.by_record.insert(record, Arc::clone(&bytes));
        let _file = self.keeps_files.then_some(file);
        self.by_bytes.insert(bytes, Kernel { _library: library, _file, record, references: 1 });
        Ok(record)
    }

    /// Gives back one reference; the last one unloads the kernel. No run may be in flight.
    ///
    /// # Errors
    ///
    /// [`KernelError::Unknown`].
    pub fn unload(
        &mut self,
        record: DeviceAddr,
        memory: &mut DeviceMemory,
    ) -> Result<(), KernelError> {
        let unknown = KernelError::Unknown { address: record };
        let Some(bytes) = self.by_record.get(&record) else { return Err(unknown) };
        let Some(kernel) = self.by_bytes.get_mut(bytes) else { return Err(unknown) };
        kernel.references -= 1;
        if kernel.references == 0 {
            self.by_bytes.remove(bytes);
            self.by_record.remove(&record);
            memory.free(record)?;
        }
        Ok(())
    }

    /// Number of distinct kernels that are loaded.
    pub fn count(&self) -> usize {
        self.by_bytes.len()
    }
}

impl From<OpenError> for KernelError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File(error) => Self::System(error),
            OpenError::Loader(error) => loader_error(error),
            OpenError::Constructor(text) => Self::Exception { function: "constructors", text },
        }
    }
}

fn loader_error(error: libloading::Error) -> KernelError {
    // The loader's own words, with the name of a missing symbol, are in the cause.
    let reason = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    KernelError::Loader { reason }
}

/// A kernel's bytes with the address of its entry set.
fn with_entry(blob: &[u8], entry: u64) -> Vec<u8> {
    let mut bytes = blob.to_vec();
    let at = offset_of!(CoreCallable, resolved_addr);
    if let Some(field) = bytes.get_mut(at..at + size_of::<u64>()) {
        field.copy_from_slice(&entry.to_ne_bytes());
    }
    bytes
}

/// Hands the simulator's functions to a kernel that wants them.
fn register_hooks(library: &Library) -> Result<(), KernelError> {
    // SAFETY: the function of this name has this signature (spec trb §7.6).
    let Ok(take) = (unsafe { library.get::<RegisterHooks>(REGISTER_HOOKS_SYMBOL.as_bytes()) })
    else {
        return Ok(());
    };
    let take = *take;
    let (sub_block, storage) = kernel_hooks::hooks();
    // SAFETY: called with what it takes; the functions live as long as the process.
    guarded(|| unsafe { take(sub_block, storage) })
        .map_err(|text| KernelError::Exception { function: REGISTER_HOOKS_SYMBOL, text })
}

#[cfg(test)]
mod tests;
