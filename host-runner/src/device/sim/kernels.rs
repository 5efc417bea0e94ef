//! The kernels that are loaded on the simulated device.
//!
//! A kernel belongs to its callable, never to its func id: two callables may use one func id for
//! different kernels (spec callable §7.1 H3). Equal bytes, compared in full, are loaded once and
//! counted. What the AICPU gets is the address of a copy of the kernel's record in device memory,
//! with the address of its entry filled in; the caller's bytes stay as they are.
//!
//! Loading and unloading run code of the user (constructors, destructors), so the table is not
//! locked meanwhile, and that code has a limit (`user_thread`). A kernel that is being loaded has a place in the table: who wants the same
//! bytes waits for it, and everybody else goes on.
//!
//! ```text
//!  load ─▶ place taken ─▶ opened, record written ─▶ published ─▶ counted ─▶ taken out ─▶ closed
//!               ▲             └ failure: place given up, the first who waits tries for itself
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::File;
use std::mem::offset_of;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libloading::os::unix::Library;
use protocol::callable::parse::CoreCallableView;
use protocol::{CoreCallable, DeviceAddr, KERNEL_ENTRY_SYMBOL};

use super::UNLOAD_LIMIT_DEFAULT;
use super::kernel_hooks::{self, REGISTER_HOOKS_SYMBOL, RegisterHooks};
use super::memory::{Access, DeviceMemory};
use crate::device::image;
use crate::device::{Holder, KernelError, MemoryError, Uploaded};
use crate::foreign_code::anonymous_library::{self, reason_of};
use crate::foreign_code::guarded_call::guarded;
use crate::foreign_code::{NotDone, OpenError, UserThread};
use crate::registry::content::{ContentId, ContentIndex};

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

#[derive(Debug, Default)]
struct Table {
    /// The bytes of whole records, with the entry's address as zero.
    contents: ContentIndex,
    /// What was loaded from each of them; `None` while it is being loaded.
    kernels: HashMap<ContentId, Option<Kernel>>,
    by_record: HashMap<DeviceAddr, ContentId>,
    keeps_files: bool,
    access: Access,
}

/// All loaded kernels.
#[derive(Debug)]
pub struct Kernels {
    table: Mutex<Table>,
    /// How long code of the user may take while a kernel is opened or closed.
    limit: Duration,
    code: UserThread,
    /// A place was filled or given up, or the table was closed.
    changed: Condvar,
}

impl Default for Kernels {
    fn default() -> Self {
        let limit = UNLOAD_LIMIT_DEFAULT;
        let code = UserThread::default();
        Self { table: Mutex::default(), limit, code, changed: Condvar::default() }
    }
}

impl Kernels {
    /// Sets how long constructors and destructors of a kernel may take.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Keeps the files of kernels that are loaded from now on open, one descriptor each, so that a
    /// debugger that comes later can read them.
    pub fn keep_files(&self) {
        self.table().keeps_files = true;
    }

    /// Loads a kernel, or takes another reference to one with the same bytes.
    ///
    /// Returns where its record is in device memory.
    ///
    /// # Errors
    ///
    /// [`KernelError`]; nothing stays behind then. [`KernelError::Gone`] once they are
    /// [closed](Self::close).
    pub fn load(
        &self,
        kernel: &CoreCallableView<'_>,
        memory: &DeviceMemory,
    ) -> Result<Uploaded, KernelError> {
        // What builders make has no entry yet.
        let bytes = match kernel.resolved_addr {
            0 => Cow::Borrowed(kernel.blob),
            _ => Cow::Owned(with_entry(kernel.blob, 0)),
        };
        let claim = match self.claim(&bytes)? {
            Claimed::Loaded(address) => return Ok(Uploaded { address, was_there: true }),
            Claimed::Place(claim) => claim,
        };
        image::check(kernel.binary, KERNEL_ENTRY_SYMBOL)?;
        let binary = kernel.binary.to_vec();
        let (library, file, entry) =
            self.code.within(self.limit, "constructors", move || open(binary))??;

        let record = memory.allocate_with(&with_entry(&bytes, entry), Holder::Kernel)?;
        let published = claim.publish(library, file, record);
        if published.is_err() {
            give_up_record(memory, record);
        }
        published.map(|()| Uploaded { address: record, was_there: false })
    }

    /// Takes a reference to what is loaded, or the place of what is not.
    fn claim(&self, bytes: &[u8]) -> Result<Claimed<'_>, KernelError> {
        // The one that loads has this long, and a moment to give up its place.
        let patience = self.limit.saturating_mul(2);
        let mut table = self.table();
        loop {
            if table.access != Access::Open {
                return Err(KernelError::Gone);
            }
            let content = table.contents.insert(bytes);
            match table.kernels.get_mut(&content) {
                Some(Some(kernel)) => {
                    kernel.references += 1;
                    return Ok(Claimed::Loaded(kernel.record));
                }
                Some(None) => {
                    let (woken, timeout) = self
                        .changed
                        .wait_timeout(table, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        let (function, limit) = ("constructors", self.limit);
                        return Err(KernelError::NotReturned { function, limit });
                    }
                    table = woken;
                }
                None => {
                    table.kernels.insert(content, None);
                    return Ok(Claimed::Place(Claim { kernels: self, content }));
                }
            }
        }
    }

    /// Gives back one reference; the last one unloads the kernel, which no run may use.
    ///
    /// # Errors
    ///
    /// [`KernelError::Unknown`], and [`KernelError::Gone`] once they are [lost](Self::lose).
    pub fn unload(&self, record: DeviceAddr, memory: &DeviceMemory) -> Result<(), KernelError> {
        let unknown = KernelError::Unknown { address: record };
        let mut table = self.table();
        if table.access == Access::Gone {
            return Err(KernelError::Gone);
        }
        let Some(&content) = table.by_record.get(&record) else { return Err(unknown) };
        let Some(Some(kernel)) = table.kernels.get_mut(&content) else { return Err(unknown) };
        kernel.references -= 1;
        if kernel.references > 0 {
            return Ok(());
        }
        let kernel = table.kernels.remove(&content);
        table.contents.remove(content);
        table.by_record.remove(&record);
        drop(table);
        let closed = self.code.drop_within(self.limit, "destructors", kernel);
        memory.free(record)?;
        Ok(closed?)
    }

    /// Number of distinct kernels that are loaded.
    pub fn count(&self) -> usize {
        self.table().by_record.len()
    }

    /// Loads nothing any more.
    pub fn close(&self) {
        self.change_access(|table| table.access = table.access.max(Access::Closed));
    }

    /// Leaves everything where it is for good, out of everybody's reach: cores may be in it.
    pub fn lose(&self) {
        self.change_access(|table| {
            let gone = Table { access: Access::Gone, ..Table::default() };
            std::mem::forget(std::mem::replace(table, gone));
        });
    }

    fn change_access(&self, change: impl FnOnce(&mut Table)) {
        change(&mut self.table());
        self.changed.notify_all();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is valid at every step that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a kernel's image: its library, the file behind it, and the address of its entry.
fn open(binary: Vec<u8>) -> Result<(Library, File, u64), KernelError> {
    // SAFETY: the user registers the kernel to run it in this process; it has been checked.
    let (library, file) = unsafe { anonymous_library::open_owned("kernel", binary) }?;
    // SAFETY: only the address of the symbol is used.
    let entry = unsafe { library.get::<*const c_void>(KERNEL_ENTRY_SYMBOL.as_bytes()) };
    let entry = entry.map_err(OpenError::Loader)?.into_raw();
    register_hooks(&library)?;
    // CAST: usize is 64 bits on the supported targets. Exposed: cores call it by number.
    Ok((library, file, entry.expose_provenance() as u64))
}

/// What somebody who wants a kernel gets.
enum Claimed<'k> {
    /// Its record; a reference was taken.
    Loaded(DeviceAddr),
    /// The duty to load it.
    Place(Claim<'k>),
}

/// A place in the table; given up unless it is filled.
struct Claim<'k> {
    kernels: &'k Kernels,
    content: ContentId,
}

impl Claim<'_> {
    /// Fills the place.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`], and the library is closed, where nothing is loaded any more.
    fn publish(self, library: Library, file: File, record: DeviceAddr) -> Result<(), KernelError> {
        let mut table = self.kernels.table();
        if table.access != Access::Open {
            drop(table);
            return Err(KernelError::Gone);
        }
        let _file = table.keeps_files.then_some(file);
        let kernel = Kernel { _library: library, _file, record, references: 1 };
        table.kernels.insert(self.content, Some(kernel));
        table.by_record.insert(record, self.content);
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut table = self.kernels.table();
        // Of a table that was lost meanwhile nothing is in this one.
        if let Some(None) = table.kernels.get(&self.content) {
            table.kernels.remove(&self.content);
            table.contents.remove(self.content);
        }
        drop(table);
        self.kernels.changed.notify_all();
    }
}

/// Frees the record of a kernel that is not loaded after all.
fn give_up_record(memory: &DeviceMemory, record: DeviceAddr) {
    match memory.free(record) {
        // The memory is out of reach, and the record with it.
        Ok(()) | Err(MemoryError::Gone) => {}
        Err(error) => tracing::error!(%error, "the record of a kernel is not in device memory"),
    }
}

impl From<OpenError> for KernelError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File(error) => Self::System(error),
            OpenError::Loader(error) => Self::Loader { reason: reason_of(&error) },
            OpenError::Constructor(text) => Self::Exception { function: "constructors", text },
        }
    }
}

impl From<NotDone> for KernelError {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::NotReturned { function, limit } => Self::NotReturned { function, limit },
            NotDone::NoThread { source, .. } => Self::System(source),
        }
    }
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
