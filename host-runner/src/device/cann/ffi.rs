//! The vendor's interface as this project declares it, and what of it is unverified.
//!
//! Every declaration is our own, written from documented facts. Which names there are, in which order
//! they are called, and the records of ours that they carry (launch record, `DeviceArgs`, names and
//! offsets) is documented (spec callable §3.2 to §3.8). What is not is marked **`[U]`**: unverified on
//! hardware. All of that is in this file, in one list, so that whoever has a device knows where to look:
//!
//! | `[U]` | here |
//! |---|---|
//! | parameters of every function, but for number and order where the spec has a call | [`Functions`](super::libraries::Functions) |
//! | layout of the arguments of a launch | [`AicpuLaunch`], [`CoreLaunch`], [`LaunchConfig`], [`CoreImage`] |
//! | numbers for memory types, directions of copies, kinds of images, addresses and queries | the constants |
//! | what a code means, but 100002, 207001 and 507018 | `super::error` |
//! | `rtStreamDestroy`, `aclrtResetDeviceForce` after a hang; that streams and memory go with that | `super::session` |
//! | `aclrtSetDevice`, `aclrtResetDevice`: newer versions are said to count references, so that a reset of a device that several threads have set may leave it | `super::session` |
//! | that the driver's server opens another image once the device was reset by force | `super::session` |
//! | that the order that comes of `rtsLaunch…` being deprecated is not yet to be followed | `super::launch` |
//! | in which folders the libraries are | `super::libraries` |
//! | that device memory can be read while something hangs | `super::running` |
//! | that a failed AICPU kernel leaves its stream to be made anew, and the device usable | `super::launch` |

use std::ffi::{c_char, c_void};

/// What every function returns: 0, or why not.
pub type Code = i32;

/// A stream of the runtime.
pub type RawStream = *mut c_void;

/// High bandwidth memory. `[U]`
pub const MEMORY_HBM: u32 = 2;
/// Whose memory it is, for the runtime's own books. `[U]`
pub const MODULE_OF_USER: u16 = 0;
/// Copies to the device. `[U]`
pub const COPY_TO_DEVICE: i32 = 1;
/// Copies from the device. `[U]`
pub const COPY_FROM_DEVICE: i32 = 2;
/// The kernel type whose shared object the driver's server keeps (needs §4.2).
pub const KERNEL_TYPE_AICPU_KFC: u32 = 5;
/// "This binary is an ELF file" of a registration. `[U]`
pub const ELF_IMAGE: u32 = 0x4355_4245;
/// All blocks start together. `[U]`
pub const SCHEDULE_BATCH: u8 = 1;
/// `halMemCtl`: look an address map up (spec callable §3.8).
pub const MEMCTL_MAP: i32 = 0;
/// The control registers of the cores. `[U]`
pub const MAP_AIC_CONTROL: u32 = 2;
/// `halGetDeviceInfoByBuff`: about the cores. `[U]`
pub const MODULE_AICORE: i32 = 4;
/// Which of them are there, as bits. `[U]`
pub const INFO_OCCUPY: i32 = 8;
/// `halResMap`: the registers of a core. `[U]`
pub const RESOURCE_AICORE: u32 = 0;

/// Arguments of an AICPU launch. `[U]`: layout.
#[repr(C)]
#[derive(Debug)]
pub struct AicpuLaunch {
    /// Launch record, and names behind it. The runtime copies it.
    pub args: *const c_void,
    /// None.
    pub host_inputs: *const c_void,
    /// None.
    pub kernel_offsets: *const c_void,
    /// Bytes of all of `args`.
    pub args_bytes: u32,
    /// None.
    pub host_input_count: u16,
    /// None.
    pub kernel_offset_count: u16,
    /// Where in `args` the name of the shared object is.
    pub so_name_offset: u32,
    /// Where in `args` the name of the kernel is.
    pub kernel_name_offset: u32,
    /// 0: the runtime copies `args` to the device.
    pub is_on_device: u8,
    /// Written as zero.
    pub reserved: [u8; 7],
}

/// Arguments of a launch on the cores. `[U]`: layout.
#[repr(C)]
#[derive(Debug)]
pub struct CoreLaunch {
    /// The words that the kernel gets. The runtime copies them.
    pub args: *const c_void,
    /// None.
    pub host_inputs: *const c_void,
    /// Bytes of `args`.
    pub args_bytes: u32,
    /// None.
    pub tiling_offset: u32,
    /// None.
    pub tiling_data_offset: u32,
    /// None.
    pub host_input_count: u16,
    /// 0.
    pub has_tiling: u8,
    /// 0: the runtime copies `args` to the device.
    pub is_on_device: u8,
    /// Written as zero.
    pub reserved: [u8; 8],
}

/// How the cores are scheduled. `[U]`: layout.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LaunchConfig {
    /// Written as zero.
    pub quality: u8,
    /// Written as zero.
    pub partition: u8,
    /// [`SCHEDULE_BATCH`].
    pub schedule: u8,
    /// Written as zero.
    pub reserved: [u8; 29],
}

/// The program of the cores. `[U]`: layout.
#[repr(C)]
#[derive(Debug)]
pub struct CoreImage {
    /// [`ELF_IMAGE`].
    pub kind: u32,
    /// Written as zero.
    pub version: u32,
    /// The file's bytes. The runtime copies them.
    pub data: *const c_void,
    /// How many.
    pub bytes: u64,
}

/// Which registers `halMemCtl` is to look up. `[U]`: layout.
#[repr(C)]
#[derive(Debug)]
pub struct MapRequest {
    /// [`MAP_AIC_CONTROL`].
    pub kind: u32,
    /// Device.
    pub device: u32,
}

/// Where they are. `[U]`: layout.
#[repr(C)]
#[derive(Debug, Default)]
pub struct MapAnswer {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Which registers `halResMap` is to map. `[U]`: layout.
#[repr(C)]
#[derive(Debug)]
pub struct ResourceRequest {
    /// [`RESOURCE_AICORE`].
    pub kind: u32,
    /// Number of the core, over all dies.
    pub core: u32,
    /// Written as zero.
    pub flags: u32,
    /// Written as zero.
    pub reserved: [u32; 5],
}

/// `aclInit`, `rtMalloc` and so on, by their parameters. Each is written once, here.
pub mod function {
    use super::{
        AicpuLaunch, Code, CoreImage, CoreLaunch, LaunchConfig, RawStream, ResourceRequest, c_char,
        c_void,
    };

    /// Nothing.
    pub type NoParameter = unsafe extern "C" fn() -> Code;
    /// A path, or null.
    pub type Path = unsafe extern "C" fn(*const c_char) -> Code;
    /// A device.
    pub type Device = unsafe extern "C" fn(i32) -> Code;
    /// Microseconds; where what was set in fact goes.
    pub type SetTimeout = unsafe extern "C" fn(u64, *mut u64) -> Code;
    /// A stream; milliseconds.
    pub type Synchronize = unsafe extern "C" fn(RawStream, i32) -> Code;
    /// Where the stream goes; flags.
    pub type CreateStream = unsafe extern "C" fn(*mut RawStream, i32) -> Code;
    /// A stream.
    pub type Stream = unsafe extern "C" fn(RawStream) -> Code;
    /// Where the address goes; bytes; kind; module.
    pub type Malloc = unsafe extern "C" fn(*mut *mut c_void, u64, u32, u16) -> Code;
    /// An address.
    pub type Free = unsafe extern "C" fn(*mut c_void) -> Code;
    /// To; room there; from; bytes; direction.
    pub type Memcpy = unsafe extern "C" fn(*mut c_void, u64, *const c_void, u64, i32) -> Code;
    /// Kernel type; operator; threads; arguments; none; stream; flags.
    pub type LaunchAicpu = unsafe extern "C" fn(
        u32,
        *const c_char,
        u32,
        *const AicpuLaunch,
        *mut c_void,
        RawStream,
        u32,
    ) -> Code;
    /// Image; where the handle goes.
    pub type RegisterImage = unsafe extern "C" fn(*const CoreImage, *mut *mut c_void) -> Code;
    /// Handle; key; blocks; arguments; none; stream; configuration.
    pub type LaunchCores = unsafe extern "C" fn(
        *mut c_void,
        u64,
        u32,
        *const CoreLaunch,
        *mut c_void,
        RawStream,
        *const LaunchConfig,
    ) -> Code;
    /// Where address and length go.
    pub type ControlAddress = unsafe extern "C" fn(*mut u64, *mut u32) -> Code;
    /// What; request and its bytes; answer and its bytes.
    pub type MemCtl =
        unsafe extern "C" fn(i32, *const c_void, usize, *mut c_void, *mut usize) -> Code;
    /// Device; module; query; answer and its bytes.
    pub type DeviceInfo = unsafe extern "C" fn(u32, i32, i32, *mut c_void, *mut i32) -> Code;
    /// Device; request; where address and length go.
    pub type ResourceMap =
        unsafe extern "C" fn(u32, *const ResourceRequest, *mut u64, *mut u32) -> Code;
}
