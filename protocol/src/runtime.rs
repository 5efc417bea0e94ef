//! The run record: everything that one run needs, in one block that the host sends.
//!
//! It starts with one handshake per core, the only part whose size depends on the chip; the rest
//! is [`RuntimeBody`] on every chip. The host writes the body before the launch; the AICPU only
//! reads it, except for `slot_states_ptr`. What the reference does not know travels in its 56
//! bytes of tail padding, as [`RuntimeExtension`]. Layout and writers: spec callable §4.1.

use crate::addr::DeviceAddr;
use crate::chip::{A2a3, A5, Chip};
use crate::handshake::{HandshakeA2a3, HandshakeA5, HandshakeRecord};
use crate::layout::{check_layout, layout};
use crate::limits::{MAX_FUNC_IDS, MAX_TENSOR_PAIRS, SYMBOL_NAME_BYTES};
use crate::task_args::ChipStorageTaskArgs;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

mod extension;
mod table;

pub use extension::{EXTENSION_VERSION, RecordOperation, RuntimeExtension};
pub(crate) use table::{RUNTIME_A2A3, RUNTIME_A5};

/// A task of the statically built graph of another runtime; here only because the tables list it.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Task {
    /// Kernel.
    pub func_id: i32,
    /// Written as zero.
    pub reserved: u32,
    /// Entry of the kernel.
    pub function_bin_addr: DeviceAddr,
}

layout! {
    TASK: Task = "Task" on both, size 16, align 8 {
        func_id @ 0, function_bin_addr @ 8,
    } reserved { reserved @ 4 }
}

/// A host buffer and its copy on the device. Host only.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TensorPair {
    /// Host address; 0 where nothing is copied back.
    pub host_ptr: u64,
    /// Device address.
    pub dev_ptr: DeviceAddr,
    /// Bytes.
    pub size: u64,
}

layout! {
    TENSOR_PAIR: TensorPair = "TensorPair" on both, size 24, align 8 {
        host_ptr @ 0, dev_ptr @ 8, size @ 16,
    }
}

/// Addresses of host functions. Host only; written as zero by our host, which calls them directly.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct HostApi {
    /// Allocates device memory.
    pub device_malloc: u64,
    /// Frees device memory.
    pub device_free: u64,
    /// Copies to the device.
    pub copy_to_device: u64,
    /// Copies from the device.
    pub copy_from_device: u64,
    /// Makes a kernel resident.
    pub upload_kernel_binary: u64,
    /// Forgets a kernel.
    pub remove_kernel_binary: u64,
}

layout! {
    HOST_API: HostApi = "HostApi" on both, size 48, align 8 {
        device_malloc @ 0, device_free @ 8, copy_to_device @ 16, copy_from_device @ 24,
        upload_kernel_binary @ 32, remove_kernel_binary @ 40,
    }
}

/// Everything in the run record after the handshakes; the same on every chip.
///
/// Flags are bytes, 0 or 1. "Host only" fields are not read on the device and are zero from our
/// host. The default is all zero, with no active callable.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RuntimeBody {
    /// Cores in use: three per cluster. The first third are cube cores.
    pub worker_count: i32,
    /// AICPU threads that take part.
    pub sche_cpu_num: i32,
    /// Parsed by the reference and unused.
    pub ready_queue_shards: i32,
    /// Written as zero.
    pub reserved0: u32,
    /// Task slots per ring, a power of two; 0 is the default.
    pub task_window_size: u64,
    /// Heap bytes per ring, a power of two; 0 is the default.
    pub heap_size: u64,
    /// Dependency edges per ring; 0 is the default.
    pub dep_pool_size: u64,
    /// Device address of the `CoreCallable` of each func id; 0 is none.
    pub func_id_to_addr: [u64; MAX_FUNC_IDS],
    /// 1: the orchestrator thread schedules once it is done.
    pub orch_to_sched: u8,
    /// Written as zero.
    pub reserved1: [u8; 7],
    /// Host only.
    pub tensor_pairs: [TensorPair; MAX_TENSOR_PAIRS],
    /// Host only.
    pub tensor_pair_count: i32,
    /// Host only.
    pub registered_kernel_func_ids: [i32; MAX_FUNC_IDS],
    /// Host only.
    pub registered_kernel_count: i32,
    /// 1: another runtime's mode; always 0 here.
    pub orch_built_on_host: u8,
    /// Written as zero.
    pub reserved2: [u8; 7],
    /// Region that begins with the `SharedMemoryHeader`.
    pub gm_sm_ptr: DeviceAddr,
    /// Memory of the four heap rings.
    pub gm_heap_ptr: DeviceAddr,
    /// Written as null by the AICPU.
    pub slot_states_ptr: DeviceAddr,
    /// Arguments with device addresses, as the orchestration receives them.
    pub orch_args: ChipStorageTaskArgs,
    /// Orchestration image on the device.
    pub dev_orch_so_addr: DeviceAddr,
    /// Bytes of the orchestration image.
    pub dev_orch_so_size: u64,
    /// Slot of the callable to run; −1 is none.
    pub active_callable_id: i32,
    /// 1: load the image into the slot before the run.
    pub register_new_callable_id: u8,
    /// NUL-terminated entry symbol; empty is the default.
    pub device_orch_func_name: [u8; SYMBOL_NAME_BYTES],
    /// NUL-terminated configuration symbol; empty is the default.
    pub device_orch_config_name: [u8; SYMBOL_NAME_BYTES],
    /// Written as zero.
    pub reserved3: [u8; 3],
    /// Host only.
    pub host_api: HostApi,
    /// Host only.
    pub pending_orch_so_data: u64,
    /// Host only.
    pub pending_orch_so_size: u64,
    /// Host only.
    pub pending_host_dlopen_handle: u64,
    /// Host only.
    pub pending_host_orch_func_ptr: u64,
    /// What only our host and executor know, in what the reference sees as padding.
    pub extension: RuntimeExtension,
}

check_layout!(RuntimeBody, size 17792, align 8 {
    worker_count @ 0, sche_cpu_num @ 4, ready_queue_shards @ 8, reserved0 @ 12,
    task_window_size @ 16, heap_size @ 24, dep_pool_size @ 32, func_id_to_addr @ 40,
    orch_to_sched @ 8232, reserved1 @ 8233, tensor_pairs @ 8240, tensor_pair_count @ 9776,
    registered_kernel_func_ids @ 9780, registered_kernel_count @ 13876,
    orch_built_on_host @ 13880, reserved2 @ 13881, gm_sm_ptr @ 13888, gm_heap_ptr @ 13896,
    slot_states_ptr @ 13904, orch_args @ 13912, dev_orch_so_addr @ 17504,
    dev_orch_so_size @ 17512, active_callable_id @ 17520, register_new_callable_id @ 17524,
    device_orch_func_name @ 17525, device_orch_config_name @ 17589, reserved3 @ 17653,
    host_api @ 17656, pending_orch_so_data @ 17704, pending_orch_so_size @ 17712,
    pending_host_dlopen_handle @ 17720, pending_host_orch_func_ptr @ 17728, extension @ 17736,
});

impl Default for RuntimeBody {
    fn default() -> Self {
        let mut body = Self::new_zeroed();
        body.active_callable_id = -1;
        body
    }
}

/// The run record of a2a3.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct RuntimeA2a3 {
    /// One per core.
    pub workers: [HandshakeA2a3; A2a3::MAX_CORES],
    /// The rest.
    pub body: RuntimeBody,
}

check_layout!(RuntimeA2a3, size 22400, align 64 { workers @ 0, body @ 4608 });

/// The run record of a5.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct RuntimeA5 {
    /// One per core.
    pub workers: [HandshakeA5; A5::MAX_CORES],
    /// The rest.
    pub body: RuntimeBody,
}

check_layout!(RuntimeA5, size 24704, align 64 { workers @ 0, body @ 6912 });

/// The run record of any chip.
///
/// Every implementer is `FromBytes`: all zero bytes are a valid record, so that a host may
/// allocate it zeroed and then assign the body.
pub trait RuntimeRecord: FromBytes + IntoBytes + KnownLayout + Send + Sync + 'static {
    /// Bring-up record of one core.
    type Handshake: HandshakeRecord;

    /// Returns the bring-up records, one per core of the chip.
    fn workers(&self) -> &[Self::Handshake];
    /// Returns the part that is the same on every chip.
    fn body(&self) -> &RuntimeBody;
    /// Returns that part for the host to fill.
    fn body_mut(&mut self) -> &mut RuntimeBody;
}

/// Implements [`RuntimeRecord`] by the two fields.
macro_rules! runtime_record {
    ($ty:ident, $handshake:ident) => {
        impl RuntimeRecord for $ty {
            type Handshake = $handshake;

            fn workers(&self) -> &[$handshake] {
                &self.workers
            }

            fn body(&self) -> &RuntimeBody {
                &self.body
            }

            fn body_mut(&mut self) -> &mut RuntimeBody {
                &mut self.body
            }
        }
    };
}

runtime_record!(RuntimeA2a3, HandshakeA2a3);
runtime_record!(RuntimeA5, HandshakeA5);

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;

    #[test]
    fn default_body_is_zero_but_for_the_active_callable() {
        let mut body = RuntimeBody::default();
        assert_eq!(body.active_callable_id, -1);
        body.active_callable_id = 0;
        assert!(body.as_bytes().iter().all(|&byte| byte == 0));
    }

    #[test]
    fn record_is_reached_alike_on_every_chip() {
        fn check<C: Chip>() {
            let mut record = C::Runtime::new_zeroed();
            assert_eq!(record.workers().len(), C::MAX_CORES);
            record.body_mut().worker_count = 3;
            assert_eq!(record.body().worker_count, 3);
            for worker in record.workers() {
                assert_eq!(worker.aicpu_ready().load(Ordering::Relaxed), 0);
            }
        }
        check::<A2a3>();
        check::<A5>();
    }
}
