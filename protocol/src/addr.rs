//! Addresses in device memory.
//!
//! A number from a shared record that names device memory is not a pointer here: it cannot be
//! dereferenced, and arithmetic on it is checked at each call. Turning it into a pointer is the
//! business of the module that owns the memory.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An address in device memory, as a plain number.
#[repr(transparent)]
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceAddr(u64);

impl DeviceAddr {
    /// No address.
    pub const NULL: Self = Self(0);

    /// Takes a number from a shared record or from the device's allocator.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the number.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns whether this is [`NULL`](Self::NULL).
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Returns the address `bytes` further on, or `None` where it would wrap around.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns whether the address is a multiple of `align`; false for an `align` of zero.
    pub const fn is_aligned_to(self, align: u64) -> bool {
        align != 0 && self.0.is_multiple_of(align)
    }
}

impl fmt::Debug for DeviceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceAddr({:#x})", self.0)
    }
}

impl fmt::Display for DeviceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_stops_at_the_end_of_the_address_space() {
        let last = DeviceAddr::new(u64::MAX);
        assert_eq!(last.checked_add(0), Some(last));
        assert_eq!(last.checked_add(1), None);
        assert_eq!(DeviceAddr::new(1).checked_add(u64::MAX - 1), Some(last));
    }

    #[test]
    fn alignment_of_zero_is_never_met() {
        assert!(DeviceAddr::new(128).is_aligned_to(64));
        assert!(!DeviceAddr::new(100).is_aligned_to(64));
        assert!(!DeviceAddr::new(128).is_aligned_to(0));
    }

    #[test]
    fn only_zero_is_null() {
        assert!(DeviceAddr::NULL.is_null());
        assert!(!DeviceAddr::new(1).is_null());
    }
}
