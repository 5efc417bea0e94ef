//! What our host tells our executor beyond the reference's run record.
//!
//! It lies in the 56 bytes of padding after the record's last field, where a reference peer does
//! not look and leaves whatever was there. Hence magic, version and checksum: an executor uses the
//! extension only where [`RuntimeExtension::valid`], and otherwise acts as the reference would.
//!
//! The reference loads an orchestration inside the first run that needs it (spec callable §5.2
//! step 3), so that a failed load is a failed run (§7 H2). Between our host and our executor a record
//! can also ask for the load, or the unloading, alone ([`RecordOperation`]).
//!
//! A valid extension also allows ids from 64 on, as many as the executor says that it has
//! ([`SharedMemoryHeader::callable_ids`](crate::SharedMemoryHeader::callable_ids)).

use crate::addr::DeviceAddr;
use crate::layout::check_layout;
use crate::wire_enum::{UnknownValue, wire_enum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// "SRX1" in memory order.
const MAGIC: u32 = u32::from_le_bytes(*b"SRX1");

/// Version of the extension that this crate writes and accepts.
///
/// 2 has `operation` where 1 had a field that nobody read: an executor that knows 1 alone would take
/// a record that asks for a load for a run. 3 has a checksum over words where 2 had one over bytes,
/// which took longer than all else that a host does to a record.
pub const EXTENSION_VERSION: u16 = 3;

/// Offset basis of FNV-1a, 64 bits.
const CHECKSUM_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
/// Prime of FNV-1a, 64 bits.
const CHECKSUM_PRIME: u64 = 0x0000_0100_0000_01B3;

wire_enum! {
    /// What a run record asks the executor for.
    pub enum RecordOperation: u16 {
        /// The run, as every record of a reference host does.
        Run = 0 => "RUN",
        /// Load the orchestration of `active_callable_id`, and nothing else: region, cores and
        /// arguments of the record are not looked at.
        Load = 1 => "LOAD",
        /// Unload the orchestration of `active_callable_id`, and nothing else.
        Unload = 2 => "UNLOAD",
        /// Run the graph that the record names ([`GraphRun`](crate::GraphRun)): the callable has its
        /// kernels on the device, and its orchestration on the host.
        RunGraph = 3 => "RUN_GRAPH",
    }
}

/// Identity of the callable and settings of the run. Written by the host, read once by the AICPU.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct RuntimeExtension {
    /// Set by [`sealed`](Self::sealed).
    pub magic: u32,
    /// Set by [`sealed`](Self::sealed).
    pub version: u16,
    /// Number of a [`RecordOperation`].
    pub operation: u16,
    /// Counts reuses of the callable's slot; another value there is a stale callable.
    pub callable_generation: u32,
    /// Counts the allocations of the shared memory region; a new one must be initialised whole.
    pub region_generation: u32,
    /// First 8 bytes of the XXH3-128 hash of the callable's blob, as it is written; for messages only.
    pub digest_prefix: u64,
    /// How long no task may make progress, in microseconds; 0 is the executor's default.
    pub stall_timeout_us: u64,
    /// Number of the run, which differs from that of the run before on this device; 0 is no number.
    /// By it, a thread that was launched for a run and comes after its end is known as surplus.
    pub run_number: u32,
    /// Written as zero.
    pub reserved: u32,
    /// Memory for the log and the outcome ([`LogArea`](crate::LogArea)), which is for this record alone;
    /// null for none. It goes with a number of the run.
    pub log_area: DeviceAddr,
    /// FNV-1a of the little-endian words before it. Set by [`sealed`](Self::sealed).
    pub checksum: u64,
}

check_layout!(RuntimeExtension, size 56, align 8 {
    magic @ 0, version @ 4, operation @ 6, callable_generation @ 8, region_generation @ 12,
    digest_prefix @ 16, stall_timeout_us @ 24, run_number @ 32, reserved @ 36, log_area @ 40,
    checksum @ 48,
});

impl RuntimeExtension {
    /// Returns a copy with magic, version and checksum set, ready to be sent.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.magic = MAGIC;
        self.version = EXTENSION_VERSION;
        self.checksum = self.expected_checksum();
        self
    }

    /// Returns whether our host wrote this, whole and in the version we know.
    pub fn valid(&self) -> bool {
        self.magic == MAGIC
            && self.version == EXTENSION_VERSION
            && self.checksum == self.expected_checksum()
    }

    /// Returns what the record asks for.
    ///
    /// # Errors
    ///
    /// The number, where it is no operation that this crate knows.
    pub fn operation(&self) -> Result<RecordOperation, UnknownValue> {
        RecordOperation::try_from(self.operation)
    }

    fn expected_checksum(&self) -> u64 {
        let (covered, _) = self.as_bytes().split_at(core::mem::offset_of!(Self, checksum));
        // A step is a bijection of what came before, so that any single word that differs is seen.
        covered.chunks_exact(size_of::<u64>()).fold(CHECKSUM_BASIS, |hash, word| {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            (hash ^ word).wrapping_mul(CHECKSUM_PRIME)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RuntimeExtension {
        RuntimeExtension {
            callable_generation: 3,
            region_generation: 5,
            digest_prefix: 0x0123_4567_89AB_CDEF,
            stall_timeout_us: 2_000_000,
            ..Default::default()
        }
    }

    #[test]
    fn sealed_extension_is_valid() {
        let sealed = sample().sealed();
        assert!(sealed.valid());
        assert_eq!(sealed.callable_generation, 3);
        assert_eq!(&sealed.as_bytes()[..6], b"SRX1\x03\x00");
    }

    #[test]
    fn padding_of_a_reference_peer_is_not_valid() {
        assert!(!RuntimeExtension::default().valid());
        assert!(!sample().valid());
        assert!(!RuntimeExtension::read_from_bytes(&[0xCD; 56]).unwrap().valid());
    }

    #[test]
    fn an_extension_of_the_version_before_is_not_valid() {
        for version in [1, 2] {
            let mut older = sample().sealed();
            older.version = version;
            older.checksum = older.expected_checksum();
            assert!(!older.valid());
        }
    }

    #[test]
    fn operations_have_their_numbers_and_other_numbers_are_none() {
        assert_eq!(sample().operation(), Ok(RecordOperation::Run));
        let of = |operation| RuntimeExtension { operation, ..sample() }.operation();
        assert_eq!(of(1), Ok(RecordOperation::Load));
        assert_eq!(of(2), Ok(RecordOperation::Unload));
        assert_eq!(of(3), Ok(RecordOperation::RunGraph));
        for unknown in [4, 0x100, u16::MAX] {
            let error = UnknownValue { what: "RecordOperation", value: i64::from(unknown) };
            assert_eq!(of(unknown), Err(error));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let sealed = sample().sealed();
        for bit in 0..56 * 8 {
            let mut damaged = sealed;
            damaged.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            assert!(!damaged.valid(), "bit {bit}");
        }
    }
}
