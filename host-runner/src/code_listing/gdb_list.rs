//! The list of in-memory object files that gdb follows: its JIT interface.
//!
//! gdb sets a breakpoint in [`__jit_debug_register_code`] and reads [`__jit_debug_descriptor`] when
//! it is reached; a gdb that attaches later reads the whole list. Both are found by their names in
//! the symbol table of the program, so a stripped program cannot be looked into.
//!
//! | field | written by | read by |
//! |---|---|---|
//! | descriptor, entries | whoever holds [`LIST`] | gdb, while all threads stand still |
//!
//! Source: GDB manual, "JIT Compilation Interface" (version 1).

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `JIT_NOACTION`.
const NO_ACTION: u32 = 0;
/// `JIT_REGISTER_FN`.
const REGISTER: u32 = 1;
/// `JIT_UNREGISTER_FN`.
const UNREGISTER: u32 = 2;

/// `struct jit_code_entry`.
#[repr(C)]
#[derive(Debug)]
struct CodeEntry {
    next: *mut CodeEntry,
    previous: *mut CodeEntry,
    object: *const u8,
    object_bytes: u64,
}

/// `struct jit_descriptor`.
#[repr(C)]
#[derive(Debug)]
struct Descriptor {
    version: u32,
    action: u32,
    /// The entry that the action is about.
    relevant: *mut CodeEntry,
    first: *mut CodeEntry,
}

/// The descriptor, which only the holder of [`LIST`] touches.
#[repr(transparent)]
pub(super) struct DescriptorCell(UnsafeCell<Descriptor>);

// SAFETY: every access is made by the holder of `LIST`, or by a debugger while no thread runs.
unsafe impl Sync for DescriptorCell {}

/// Where gdb finds the list.
// The name belongs to gdb's interface, and this is what has to be there; no other part of the
// program defines it.
#[unsafe(no_mangle)]
pub(super) static __jit_debug_descriptor: DescriptorCell =
    DescriptorCell(UnsafeCell::new(Descriptor {
        version: 1,
        action: NO_ACTION,
        relevant: null_mut(),
        first: null_mut(),
    }));

/// Where gdb stops the program to look at the descriptor.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn __jit_debug_register_code() {
    // SAFETY: no instruction at all; it stands for "memory is read here", so that neither calls
    // nor the writes before them are left out.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}

/// Held while the list is changed or walked.
static LIST: Mutex<()> = Mutex::new(());

/// An object that gdb knows as long as this value lives.
#[derive(Debug)]
pub(super) struct Registration {
    entry: *mut CodeEntry,
    /// What the entry points at.
    _object: Box<[u8]>,
}

// SAFETY: the entry is only touched under `LIST`, whichever thread holds the value.
unsafe impl Send for Registration {}

impl Registration {
    /// Puts an object file on the list.
    pub(super) fn new(object: Vec<u8>) -> Self {
        let object = object.into_boxed_slice();
        // CAST: usize is at most 64 bits.
        let object_bytes = object.len() as u64;
        let list = List::lock();
        let next = list.first();
        let entry = CodeEntry { next, previous: null_mut(), object: object.as_ptr(), object_bytes };
        let entry = Box::into_raw(Box::new(entry));
        list.put_first(entry);
        list.announce(REGISTER, entry);
        Self { entry, _object: object }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let list = List::lock();
        list.take_out(self.entry);
        list.announce(UNREGISTER, self.entry);
        // SAFETY: made by `Box::into_raw` in `new`, taken off the list, and not used any more: the
        // descriptor does not name it either.
        drop(unsafe { Box::from_raw(self.entry) });
    }
}

/// The right to touch descriptor and entries.
struct List<'a> {
    descriptor: *mut Descriptor,
    _held: MutexGuard<'a, ()>,
}

impl List<'_> {
    fn lock() -> Self {
        // A list is whole between two calls, and none of them panics.
        let held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        Self { descriptor: __jit_debug_descriptor.0.get(), _held: held }
    }

    fn first(&self) -> *mut CodeEntry {
        // SAFETY: the lock is held, so nobody writes.
        unsafe { (*self.descriptor).first }
    }

    /// Puts a new entry in front of the first one, which it names as its next.
    fn put_first(&self, entry: *mut CodeEntry) {
        // SAFETY: a live entry that is not on the list yet.
        let next = unsafe { (*entry).next };
        // SAFETY: null or on the list, whose entries are live; the lock is held.
        if let Some(next) = unsafe { next.as_mut() } {
            next.previous = entry;
        }
        // SAFETY: the lock is held.
        unsafe { (&raw mut (*self.descriptor).first).write_volatile(entry) };
    }

    /// Joins the neighbours of an entry.
    fn take_out(&self, entry: *mut CodeEntry) {
        // SAFETY: on the list, therefore live; the lock is held.
        let (previous, next) = unsafe { ((*entry).previous, (*entry).next) };
        // SAFETY: null or on the list; the lock is held.
        match unsafe { previous.as_mut() } {
            Some(previous) => previous.next = next,
            // SAFETY: the lock is held.
            None => unsafe { (&raw mut (*self.descriptor).first).write_volatile(next) },
        }
        // SAFETY: null or on the list; the lock is held.
        if let Some(next) = unsafe { next.as_mut() } {
            next.previous = previous;
        }
    }

    /// Tells a debugger, if there is one, what was done with an entry.
    fn announce(&self, action: u32, entry: *mut CodeEntry) {
        self.describe(action, entry);
        __jit_debug_register_code();
        self.describe(NO_ACTION, null_mut());
    }

    fn describe(&self, action: u32, entry: *mut CodeEntry) {
        // SAFETY: the lock is held.
        unsafe { (&raw mut (*self.descriptor).relevant).write_volatile(entry) };
        // SAFETY: the lock is held.
        unsafe { (&raw mut (*self.descriptor).action).write_volatile(action) };
    }
}

#[cfg(test)]
mod tests;
