//! Ids that cross boundaries, bounded by construction.
//!
//! A [`CallableId`] or [`FuncId`] in hand proves the bound, so that indexing a table of that size
//! cannot fail. [`TaskId`] is a plain word of the orchestration ABI and promises nothing.

use crate::layout::layout;
use crate::limits::{EXTENDED_CALLABLE_IDS, MAX_FUNC_IDS};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An id outside the range of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IdOutOfRange {
    /// Which kind of id.
    pub what: &'static str,
    /// The number given.
    pub value: i64,
    /// Valid ids are `0..limit`.
    pub limit: usize,
}

impl fmt::Display for IdOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value, limit } = self;
        write!(f, "{what} {value} is out of range: use 0 to {}", limit.saturating_sub(1))
    }
}

impl core::error::Error for IdOutOfRange {}

/// Declares an id that is an index into a table of `$limit` entries.
macro_rules! table_id {
    ($(#[$meta:meta])* $ty:ident, $what:literal, $limit:ident) => {
        $(#[$meta])*
        ///
        /// # Invariants
        ///
        /// The number is below [`COUNT`](Self::COUNT).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $ty(u16);

        impl $ty {
            /// Number of distinct ids.
            pub const COUNT: usize = $limit;

            /// Checks an id that came from outside.
            ///
            /// # Errors
            ///
            /// [`IdOutOfRange`] with the number where it is negative or not below the limit.
            pub const fn new(value: i64) -> Result<Self, IdOutOfRange> {
                // CAST: the limit is a small constant; the value is below it in the `Ok` branch.
                if value >= 0 && value < Self::COUNT as i64 {
                    Ok(Self(value as u16))
                } else {
                    Err(IdOutOfRange { what: $what, value, limit: Self::COUNT })
                }
            }

            /// Returns the id as an index below [`COUNT`](Self::COUNT).
            pub const fn index(self) -> usize {
                // CAST: u16 to usize is lossless.
                self.0 as usize
            }

            /// Returns the id as shared records hold it.
            pub const fn raw(self) -> i32 {
                // CAST: u16 to i32 is lossless.
                self.0 as i32
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        const _: () = assert!($limit <= u16::MAX as usize);
    };
}

table_id! {
    /// Slot of a registered callable, on the host and in the executor (spec callable §1.1).
    ///
    /// Toward a reference peer, and within the C interface, ids end at
    /// [`MAX_REGISTERED_CALLABLE_IDS`](crate::MAX_REGISTERED_CALLABLE_IDS); who talks to one checks.
    CallableId, "callable id", EXTENDED_CALLABLE_IDS
}

table_id! {
    /// Number by which an orchestration names a kernel (spec callable §1.2).
    FuncId, "func id", MAX_FUNC_IDS
}

/// Id of a submitted task: ring in the upper half, number within the ring in the lower.
///
/// The reference's `PTO2TaskId` (spec trb §1.5). Any bit pattern is a value: the word comes from
/// orchestration code, so that [`ring`](Self::ring) needs a check before it is used as an index.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TaskId(u64);

layout! {
    TASK_ID: TaskId = "PTO2TaskId" on both, size 8, align 8 { 0 as "raw" @ 0 }
}

impl TaskId {
    /// No task, as in the owner of a tensor that came from outside.
    pub const INVALID: Self = Self(u64::MAX);

    /// Builds the id of the `local`-th task of `ring`.
    pub const fn new(ring: u8, local: u32) -> Self {
        // CAST: both widen.
        Self(((ring as u64) << 32) | local as u64)
    }

    /// Takes the word from a shared record.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the word for a shared record.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns the low byte of the upper half: the ring of a valid id.
    pub const fn ring(self) -> u8 {
        // CAST: truncation to the low byte is the definition (spec trb §1.5).
        (self.0 >> 32) as u8
    }

    /// Returns the number within the ring.
    pub const fn local(self) -> u32 {
        // CAST: truncation to the lower half is the definition (spec trb §1.5).
        self.0 as u32
    }

    /// Returns whether this is any word but [`INVALID`](Self::INVALID).
    pub const fn is_valid(self) -> bool {
        self.0 != Self::INVALID.0
    }
}

impl Default for TaskId {
    /// Returns [`TaskId::INVALID`].
    fn default() -> Self {
        Self::INVALID
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_valid() {
            write!(f, "TaskId({}:{})", self.0 >> 32, self.local())
        } else {
            f.write_str("TaskId(invalid)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_accepted_only_below_their_limit() {
        #[track_caller]
        fn check(value: i64, callable: bool, func: bool) {
            assert_eq!(CallableId::new(value).is_ok(), callable, "callable {value}");
            assert_eq!(FuncId::new(value).is_ok(), func, "func {value}");
        }
        check(i64::MIN, false, false);
        check(-1, false, false);
        check(0, true, true);
        check(63, true, true);
        check(64, true, true);
        check(1023, true, true);
        check(1024, false, false);
        check(1 << 32, false, false);
        check(i64::MAX, false, false);
    }

    #[test]
    fn id_keeps_its_number() {
        let id = FuncId::new(1023).unwrap();
        assert_eq!((id.index(), id.raw()), (1023, 1023));
    }

    #[test]
    fn rejected_id_is_reported_with_its_range() {
        let error = CallableId::new(1024).unwrap_err();
        assert_eq!(error, IdOutOfRange { what: "callable id", value: 1024, limit: 1024 });
        assert!(std::format!("{error}").contains("use 0 to 1023"));
    }

    #[test]
    fn task_id_splits_into_ring_and_number() {
        let id = TaskId::new(3, 0xDEAD_BEEF);
        assert_eq!(id.raw(), 0x0000_0003_DEAD_BEEF);
        assert_eq!((id.ring(), id.local()), (3, 0xDEAD_BEEF));
        assert!(id.is_valid());
    }

    #[test]
    fn all_ones_is_the_only_invalid_task_id() {
        assert!(!TaskId::from_raw(u64::MAX).is_valid());
        assert!(TaskId::from_raw(u64::MAX - 1).is_valid());
        assert_eq!(TaskId::default(), TaskId::INVALID);
    }
}
