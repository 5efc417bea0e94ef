//! How one core and the AICPU find each other at the start of a run.
//!
//! An array of these records, one per core, opens the `Runtime` record. All fields change while
//! the peer looks, so all are atomics; the numbers are the order of events (spec trb §6.1,
//! spec callable §4.3).
//!
//! | step | field               | written by | value                                       |
//! |------|---------------------|------------|---------------------------------------------|
//! | 0    | `core_type`         | host       | what the core is expected to be             |
//! | 1    | `task`              | AICPU      | address of the core's payload pair          |
//! | 1    | `aicpu_ready`       | AICPU      | 1: `task` is valid                          |
//! | 2    | `physical_core_id`  | core       | which register block is its own             |
//! | 2    | `aicore_regs_ready` | core       | 1: the id is valid                          |
//! | 3    | `aicpu_regs_ready`  | AICPU      | 1: the register block is open and idle      |
//! | 4    | `core_type`         | core       | what it is                                  |
//! | 4    | `aicore_done`       | core       | index + 1: `core_type` is valid, core idles |

use crate::layout::layout;
use crate::wire_enum::wire_enum;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

wire_enum! {
    /// Kind of a core (spec callable §4.3).
    pub enum CoreType: i32 = "CoreType", CORE_TYPE {
        /// Cube core.
        Aic = 0 => "AIC",
        /// Vector core.
        Aiv = 1 => "AIV",
    }
}

/// Bring-up record of one core on a2a3.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct HandshakeA2a3 {
    /// AICPU: 1 once `task` is valid.
    pub aicpu_ready: AtomicU32,
    /// Core: index + 1 once it idles.
    pub aicore_done: AtomicU32,
    /// AICPU: address of the core's pair of dispatch payloads.
    pub task: AtomicU64,
    /// A [`CoreType`] number: preset by the host, then reported by the core.
    pub core_type: AtomicI32,
    /// Core: number of its register block.
    pub physical_core_id: AtomicU32,
    /// AICPU: 1 once the register block is open.
    pub aicpu_regs_ready: AtomicU32,
    /// Core: 1 once `physical_core_id` is valid.
    pub aicore_regs_ready: AtomicU32,
    /// Written as zero.
    pub reserved: [u8; 32],
}

layout! {
    HANDSHAKE_A2A3: HandshakeA2a3 = "Handshake" on a2a3, size 64, align 64 {
        aicpu_ready @ 0, aicore_done @ 4, task @ 8, core_type @ 16, physical_core_id @ 20,
        aicpu_regs_ready @ 24, aicore_regs_ready @ 28,
    } reserved { reserved @ 32 }
}

/// Bring-up record of one core on a5, where it also carries the profiling addresses.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct HandshakeA5 {
    /// AICPU: 1 once `task` is valid.
    pub aicpu_ready: AtomicU32,
    /// Core: index + 1 once it idles.
    pub aicore_done: AtomicU32,
    /// AICPU: address of the core's pair of dispatch payloads.
    pub task: AtomicU64,
    /// A [`CoreType`] number: preset by the host, then reported by the core.
    pub core_type: AtomicI32,
    /// Written as zero.
    pub reserved: u32,
    /// Address of the core's swimlane buffer; the AICPU rotates it.
    pub l2_perf_records_addr: AtomicU64,
    /// Core: number of its register block.
    pub physical_core_id: AtomicU32,
    /// AICPU: 1 once the register block is open.
    pub aicpu_regs_ready: AtomicU32,
    /// Core: 1 once `physical_core_id` is valid.
    pub aicore_regs_ready: AtomicU32,
    /// `ProfilingFlags` bits.
    pub enable_profiling_flag: AtomicU32,
    /// Address of the core's counter buffer; the AICPU rotates it.
    pub pmu_buffer_addr: AtomicU64,
    /// Address of the core's counter registers.
    pub pmu_reg_base: AtomicU64,
}

layout! {
    HANDSHAKE_A5: HandshakeA5 = "Handshake" on a5, size 64, align 64 {
        aicpu_ready @ 0, aicore_done @ 4, task @ 8, core_type @ 16, l2_perf_records_addr @ 24,
        physical_core_id @ 32, aicpu_regs_ready @ 36, aicore_regs_ready @ 40,
        enable_profiling_flag @ 44, pmu_buffer_addr @ 48, pmu_reg_base @ 56,
    } reserved { reserved @ 20 }
}

/// The fields that the bring-up of a core needs, on any chip.
pub trait HandshakeRecord: Send + Sync + 'static {
    /// AICPU: 1 once [`task`](Self::task) is valid.
    fn aicpu_ready(&self) -> &AtomicU32;
    /// Core: index + 1 once it idles.
    fn aicore_done(&self) -> &AtomicU32;
    /// AICPU: address of the core's pair of dispatch payloads.
    fn task(&self) -> &AtomicU64;
    /// A [`CoreType`] number: preset by the host, then reported by the core.
    fn core_type(&self) -> &AtomicI32;
    /// Core: number of its register block.
    fn physical_core_id(&self) -> &AtomicU32;
    /// AICPU: 1 once the register block is open.
    fn aicpu_regs_ready(&self) -> &AtomicU32;
    /// Core: 1 once [`physical_core_id`](Self::physical_core_id) is valid.
    fn aicore_regs_ready(&self) -> &AtomicU32;
}

/// Implements [`HandshakeRecord`] by the fields of the same names.
macro_rules! handshake_record {
    ($ty:ident) => {
        impl HandshakeRecord for $ty {
            fn aicpu_ready(&self) -> &AtomicU32 {
                &self.aicpu_ready
            }

            fn aicore_done(&self) -> &AtomicU32 {
                &self.aicore_done
            }

            fn task(&self) -> &AtomicU64 {
                &self.task
            }

            fn core_type(&self) -> &AtomicI32 {
                &self.core_type
            }

            fn physical_core_id(&self) -> &AtomicU32 {
                &self.physical_core_id
            }

            fn aicpu_regs_ready(&self) -> &AtomicU32 {
                &self.aicpu_regs_ready
            }

            fn aicore_regs_ready(&self) -> &AtomicU32 {
                &self.aicore_regs_ready
            }
        }
    };
}

handshake_record!(HandshakeA2a3);
handshake_record!(HandshakeA5);
