//! Contexts by handle.
//!
//! A handle is a number that is looked up and never an address that is followed, so a handle that
//! was destroyed, or is none at all, is an error. No handle is used twice, and handles of two
//! libraries in one process differ.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use crate::context::Context;

/// Contexts of this library that are not destroyed.
static LIVE: LazyLock<RwLock<HashMap<usize, Arc<Context>>>> = LazyLock::new(RwLock::default);

/// Bits of a page number: the 47 of an address in user space without those inside a page.
const PAGE_BITS: u32 = 47 - 12;

/// Bits that count contexts.
const SERIAL_BITS: u32 = 27;

/// Makes every handle a number that is no address of user space.
const MARK: u64 = 1 << 62;

/// Keeps a context until [`withdraw`]; `None` when all numbers are used up.
pub(crate) fn publish(context: Context) -> Option<*mut c_void> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number matters.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    if serial >> SERIAL_BITS != 0 {
        return None;
    }
    // No two libraries have a variable in one page.
    let page = (&raw const LIVE).addr() as u64 >> 12;
    let page = page & ((1 << PAGE_BITS) - 1);
    // CAST: the supported targets have 64 bits.
    let handle = (MARK | serial << PAGE_BITS | page) as usize;
    LIVE.write().unwrap_or_else(PoisonError::into_inner).insert(handle, Arc::new(context));
    Some(std::ptr::without_provenance_mut(handle))
}

/// The context of a handle, which stays as long as the caller holds it.
pub(crate) fn find(handle: *mut c_void) -> Option<Arc<Context>> {
    let live = LIVE.read().unwrap_or_else(PoisonError::into_inner);
    live.get(&handle.addr()).map(Arc::clone)
}

/// Takes a context out; calls that are in it end normally.
pub(crate) fn withdraw(handle: *mut c_void) -> Option<Arc<Context>> {
    LIVE.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::{Runtime, Variant};
    use host_runner::worker::PlatformName;

    #[test]
    fn a_handle_names_its_context_until_it_is_withdrawn_and_never_again() {
        let variant = Variant { platform: PlatformName::A5Sim, runtime: Runtime::Hbg };
        let first = publish(Context::new(variant)).unwrap();
        let second = publish(Context::new(variant)).unwrap();
        assert!(!Arc::ptr_eq(&find(first).unwrap(), &find(second).unwrap()));
        assert!(withdraw(first).is_some());
        assert!(find(first).is_none() && withdraw(first).is_none());
        let third = publish(Context::new(variant)).unwrap();
        assert!(third != first && find(second).is_some());
        for wild in [0, 1, usize::MAX, (&raw const LIVE).addr()] {
            assert!(find(std::ptr::without_provenance_mut(wild)).is_none());
        }
        withdraw(second);
        withdraw(third);
    }
}
