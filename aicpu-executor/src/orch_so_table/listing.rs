//! What is loaded in a slot, for all who look: a flag under a lock, and memory that is touched only
//! when something is listed.
//!
//! They lie apart because a table has many slots and few of them are ever used: the flags of all
//! slots are small and side by side, and the memory of one that is never filled costs nothing.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;

use spin::Mutex;

/// Whether the memory that belongs to it holds a value.
#[derive(Debug)]
pub(super) struct IsListed(Mutex<bool>);

impl IsListed {
    /// It does not.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(false))
    }
}

/// Memory for a value. Any bytes are valid in it.
pub(super) struct Place<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the value is accessed by `Listing` alone: written under the lock of the flag, and read under it or by whoever
// knows that nobody writes (`Listing::value`).
unsafe impl<T: Send + Sync> Sync for Place<T> {}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// Flag and memory of one slot.
///
/// # Invariants
///
/// No other flag goes with this memory; the flag is set exactly while there is a value in it.
#[derive(Debug)]
pub(super) struct Listing<'t, T> {
    is_listed: &'t IsListed,
    place: &'t Place<T>,
}

impl<T> Clone for Listing<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Listing<'_, T> {}

impl<'t, T> Listing<'t, T> {
    /// Puts the two together.
    ///
    /// # Safety
    ///
    /// The flag has been used with this memory alone, and this memory with the flag alone, since the
    /// flag was made.
    pub(super) const unsafe fn new(is_listed: &'t IsListed, place: &'t Place<T>) -> Self {
        Self { is_listed, place }
    }

    /// Lists a value in place of the one before.
    pub(super) fn list(self, value: T) {
        let before = {
            let mut is_listed = self.is_listed.0.lock();
            // SAFETY: the lock of the flag is held, so nobody else accesses the memory.
            let place = unsafe { &mut *self.place.0.get() };
            let before = core::mem::replace(&mut *is_listed, true)
                // SAFETY: there is a value in it, by the invariant; it is overwritten below.
                .then(|| unsafe { place.assume_init_read() });
            place.write(value);
            before
        };
        drop(before);
    }

    /// Takes the value out.
    pub(super) fn unlist(self) -> Option<T> {
        let mut is_listed = self.is_listed.0.lock();
        core::mem::take(&mut *is_listed).then(|| {
            // SAFETY: the lock is held, and there was a value, which is nobody else's now.
            unsafe { (*self.place.0.get()).assume_init_read() }
        })
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// A value was listed before, which the caller knows from whoever listed it, and neither taken out nor replaced as
    /// long as the reference lives. (Others may look at it.)
    pub(super) unsafe fn value(self) -> &'t T {
        // SAFETY: by the contract there is a value that nobody writes.
        unsafe { (*self.place.0.get()).assume_init_ref() }
    }

    /// Looks something up in the value. The lock is held meanwhile.
    pub(super) fn look<U>(self, find: impl FnOnce(&T) -> Option<U>) -> Option<U> {
        let is_listed = self.is_listed.0.lock();
        if !*is_listed {
            return None;
        }
        // SAFETY: the lock is held for as long as the reference lives, and there is a value.
        find(unsafe { (*self.place.0.get()).assume_init_ref() })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_value_is_there_from_listing_to_unlisting_and_dropped_once() {
        let (flag, place) = (IsListed::new(), Place(UnsafeCell::new(MaybeUninit::uninit())));
        // SAFETY: both are new.
        let listing = unsafe { Listing::new(&flag, &place) };
        let values = [Rc::new(1), Rc::new(2)];
        assert_eq!(listing.look(|value: &Rc<i32>| Some(**value)), None);
        assert!(listing.unlist().is_none());
        for value in &values {
            listing.list(Rc::clone(value));
            assert_eq!(listing.look(|listed| Some(**listed)), Some(**value));
            // SAFETY: it was just listed, here.
            assert_eq!(unsafe { listing.value() }, value);
        }
        assert_eq!(values.each_ref().map(Rc::strong_count), [1, 2]);
        assert_eq!(listing.unlist().as_deref(), Some(&2));
        assert!(listing.look(|_| Some(())).is_none() && listing.unlist().is_none());
        assert_eq!(values.each_ref().map(Rc::strong_count), [1, 1]);
    }
}
