//! What a launch hands to the AICPU and AICore entries on a real device.
//!
//! Written by the host before the launch, read-only afterwards (spec callable §3.8). The simulator
//! passes the same things as call arguments.

use crate::addr::DeviceAddr;
use crate::layout::{check_layout, layout};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags::bitflags! {
    /// Which diagnostics are on, in the launch record (a2a3) or the handshakes (a5).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ProfilingFlags: u32 {
        /// Tensors are dumped before and after each task.
        const DUMP = 1;
        /// Start and end of each task are recorded.
        const SWIMLANE = 2;
        /// Hardware counters are recorded per task.
        const PMU = 4;
    }
}

/// What the launch record's `device_args` points at: the image of the AICPU program, which the driver's server
/// loads at the first launch of a process.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct DeviceArgs {
    /// Belongs to the driver's server; written as zero.
    pub unused: [u64; 12],
    /// Where the image is in device memory.
    pub so_bin: DeviceAddr,
    /// Bytes of the image.
    pub so_len: u64,
}

check_layout!(DeviceArgs, size 112, align 8 { unused @ 0, so_bin @ 96, so_len @ 104 });

/// Launch record of a2a3.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct KernelArgsA2a3 {
    /// Belongs to the driver's server; written as zero.
    pub unused: [u64; 5],
    /// Address of the record that names the AICPU image.
    pub device_args: DeviceAddr,
    /// Address of the `Runtime` record.
    pub runtime_args: DeviceAddr,
    /// Address of the array of register block addresses, by physical core id.
    pub regs: DeviceAddr,
    /// Address for core to core synchronisation.
    pub ffts_base_addr: DeviceAddr,
    /// Address of the tensor dump header, or null.
    pub dump_data_base: DeviceAddr,
    /// Address of the swimlane header, or null.
    pub l2_perf_data_base: DeviceAddr,
    /// Address of the counter header, or null.
    pub pmu_data_base: DeviceAddr,
    /// Address of the array of counter register addresses, by physical core id.
    pub pmu_reg_addrs: DeviceAddr,
    /// Address of the cores' swimlane rings, or null.
    pub aicore_ring_addr: DeviceAddr,
    /// 0 debug … 4 none.
    pub log_level: u32,
    /// Least verbosity class of information that is logged, 0 to 9.
    pub log_info_v: u32,
    /// [`ProfilingFlags`] bits.
    pub enable_profiling_flag: u32,
    /// Written as zero.
    pub reserved: u32,
}

layout! {
    KERNEL_ARGS_A2A3: KernelArgsA2a3 = "KernelArgs" on a2a3, size 128, align 8 {
        unused @ 0, device_args @ 40, runtime_args @ 48, regs @ 56, ffts_base_addr @ 64,
        dump_data_base @ 72, l2_perf_data_base @ 80, pmu_data_base @ 88, pmu_reg_addrs @ 96,
        aicore_ring_addr @ 104, log_level @ 112, log_info_v @ 116, enable_profiling_flag @ 120,
        reserved as "_pad" @ 124,
    }
}

/// Launch record of a5.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct KernelArgsA5 {
    /// Belongs to the driver's server; written as zero.
    pub unused: [u64; 5],
    /// Address of the record that names the AICPU image.
    pub device_args: DeviceAddr,
    /// Address of the `Runtime` record.
    pub runtime_args: DeviceAddr,
    /// Address of the array of register block addresses, by physical core id.
    pub regs: DeviceAddr,
    /// Address of the tensor dump header, or null.
    pub dump_data_base: DeviceAddr,
    /// Address of the swimlane header, or null.
    pub l2_perf_data_base: DeviceAddr,
    /// Address of the counter header, or null.
    pub pmu_data_base: DeviceAddr,
    /// 0 debug … 4 none.
    pub log_level: u32,
    /// Least verbosity class of information that is logged, 0 to 9.
    pub log_info_v: u32,
}

layout! {
    KERNEL_ARGS_A5: KernelArgsA5 = "KernelArgs" on a5, size 96, align 8 {
        unused @ 0, device_args @ 40, runtime_args @ 48, regs @ 56, dump_data_base @ 64,
        l2_perf_data_base @ 72, pmu_data_base @ 80, log_level @ 88, log_info_v @ 92,
    }
}
