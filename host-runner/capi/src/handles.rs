//! What is behind the handles of clients.
//!
//! A handle is a number that is looked up and never an address that is followed, so a handle that
//! was destroyed, or is none at all, is an error. A number comes again only after millions of others,
//! and handles of two kinds, or of two libraries in one process, always differ.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use crate::communicator::Communicator;
use crate::context::Context;
use crate::submission::Submission;

/// Contexts that are not destroyed.
pub(crate) static CONTEXTS: Table<Context> = Table::new(0);

/// Submitted runs that are not freed.
pub(crate) static SUBMISSIONS: Table<Submission> = Table::new(1);

/// Communicators that are not destroyed.
pub(crate) static COMMUNICATORS: Table<Communicator> = Table::new(2);

/// Bits of a page number: the 47 of an address in user space without those inside a page.
const PAGE_BITS: u32 = 47 - 12;

/// Bits that count what is published.
const SERIAL_BITS: u32 = 25;

/// Makes every handle a number that is no address of user space.
const MARK: u64 = 1 << 62;

/// Things of one kind by handle.
pub(crate) struct Table<T> {
    live: LazyLock<RwLock<HashMap<usize, Arc<T>>>>,
    published: AtomicU64,
    kind: u64,
}

impl<T> Table<T> {
    /// An empty table; `kind` is 0 to 3.
    const fn new(kind: u64) -> Self {
        Self { live: LazyLock::new(RwLock::default), published: AtomicU64::new(0), kind }
    }

    /// Keeps a thing until [`withdraw`](Self::withdraw).
    pub(crate) fn publish(&self, thing: Arc<T>) -> *mut c_void {
        // No two libraries have a variable in one page.
        let page = (&raw const CONTEXTS).addr() as u64 >> 12 & ((1 << PAGE_BITS) - 1);
        let base = MARK | self.kind << (PAGE_BITS + SERIAL_BITS) | page;
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            // ORDERING: Relaxed: only the number matters.
            let serial = self.published.fetch_add(1, Ordering::Relaxed) & ((1 << SERIAL_BITS) - 1);
            // CAST: the supported targets have 64 bits.
            let handle = (base | serial << PAGE_BITS) as usize;
            if let Entry::Vacant(place) = live.entry(handle) {
                place.insert(thing);
                return std::ptr::without_provenance_mut(handle);
            }
        }
    }

    /// What a handle names; it stays as long as the caller holds it.
    pub(crate) fn find(&self, handle: *mut c_void) -> Option<Arc<T>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(&handle.addr()).map(Arc::clone)
    }

    /// All that there is now.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.values().map(Arc::clone).collect()
    }

    /// Takes a thing out; calls that are in it end normally.
    pub(crate) fn withdraw(&self, handle: *mut c_void) -> Option<Arc<T>> {
        self.live.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::variant::{RuntimeName, Variant};
    use host_runner::worker::PlatformName;

    #[test]
    fn a_handle_names_its_context_until_it_is_withdrawn_and_not_after() {
        let variant = Variant { platform: PlatformName::A5Sim, runtime: RuntimeName::Hbg };
        let publish = || CONTEXTS.publish(Arc::new(Context::new(variant)));
        let (first, second) = (publish(), publish());
        let find = |handle| CONTEXTS.find(handle);
        assert!(!Arc::ptr_eq(&find(first).unwrap(), &find(second).unwrap()));
        assert!(CONTEXTS.withdraw(first).is_some());
        assert!(find(first).is_none() && CONTEXTS.withdraw(first).is_none());
        let third = publish();
        assert!(third != first && find(second).is_some());
        assert!(SUBMISSIONS.find(third).is_none());
        for wild in [0, 1, usize::MAX, (&raw const CONTEXTS).addr()] {
            assert!(find(std::ptr::without_provenance_mut(wild)).is_none());
        }
        CONTEXTS.withdraw(second);
        CONTEXTS.withdraw(third);
    }

    #[test]
    fn handles_of_all_kinds_differ() {
        let of_kind = |kind| Table::new(kind).publish(Arc::new(()));
        let handles = [0, 1, 2, 3].map(of_kind).map(|handle| handle.addr());
        assert_eq!(HashSet::from(handles).len(), 4);
        assert!(handles.iter().all(|handle| handle >> 62 == 1), "no address: {handles:x?}");
    }

    #[test]
    fn numbers_begin_again_and_leave_out_those_in_use() {
        let table = Table::new(1);
        let first = table.publish(Arc::new(1));
        table.published.store(1 << SERIAL_BITS, Ordering::Relaxed);
        let second = table.publish(Arc::new(2));
        assert_ne!(first, second);
        assert_eq!((*table.find(first).unwrap(), *table.find(second).unwrap()), (1, 2));
    }
}
