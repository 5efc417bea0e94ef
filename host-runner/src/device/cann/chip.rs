//! What differs between the chips for a host: the launch record, what the cores get for an argument,
//! and how the addresses of their registers are found (spec callable §3.8).

use protocol::{A2a3, A5, Chip, ChipName, DeviceAddr, KernelArgsA2a3, KernelArgsA5};
use zerocopy::{Immutable, IntoBytes};

use super::api::{Api, checked};
use super::error::CallError;
use super::ffi::{
    INFO_OCCUPY, MAP_AIC_CONTROL, MEMCTL_MAP, MODULE_AICORE, MapAnswer, MapRequest,
    RESOURCE_AICORE, ResourceRequest,
};

/// Physical cores of the a2a3, each with one cube core and two vector cores.
const A2A3_CORES: u64 = 25;
/// Bytes from the registers of one of them to those of the next.
const A2A3_CORE_STRIDE: u64 = 8 << 20;
/// Bytes from the registers of a core to those of the next in the same physical core; also of the a5.
const SUB_CORE_STRIDE: u64 = 1 << 20;
/// Physical cores of the a5, over both dies.
const A5_CORES: u32 = 36;
/// Cores in a physical core.
const SUB_CORES: u64 = 3;

/// What a launch record names.
#[derive(Debug, Clone, Copy)]
pub struct LaunchAddresses {
    /// What names the AICPU image.
    pub device_args: DeviceAddr,
    /// The run record.
    pub runtime: DeviceAddr,
    /// Addresses of the cores' registers, by physical id.
    pub registers: DeviceAddr,
    /// For synchronisation between cores, where the chip has that.
    pub core_control: u64,
    /// 0 debug to 4 nothing.
    pub log_level: u32,
    /// Least verbosity class of information that is logged.
    pub log_verbosity: u32,
}

/// A chip as a host of the vendor's runtime sees it.
pub trait CannChip: Chip<KernelArgs: IntoBytes + Immutable> {
    /// Which chip.
    const CHIP: ChipName;

    /// The launch record.
    fn launch_record(addresses: &LaunchAddresses) -> Self::KernelArgs;

    /// What the program of the cores gets for an argument.
    fn core_argument(launch_record: DeviceAddr, runtime: DeviceAddr) -> DeviceAddr;

    /// Where the registers of each core are, by physical id; 0 for one that is not there.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    fn register_blocks(api: &Api, device: i32) -> Result<Vec<u64>, CallError>;

    /// The address for synchronisation between cores; 0 where there is none.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    fn core_control(api: &Api) -> Result<u64, CallError>;
}

impl CannChip for A2a3 {
    const CHIP: ChipName = ChipName::A2a3;

    fn launch_record(addresses: &LaunchAddresses) -> KernelArgsA2a3 {
        KernelArgsA2a3 {
            device_args: addresses.device_args,
            runtime_args: addresses.runtime,
            regs: addresses.registers,
            ffts_base_addr: DeviceAddr::new(addresses.core_control),
            log_level: addresses.log_level,
            log_info_v: addresses.log_verbosity,
            ..KernelArgsA2a3::default()
        }
    }

    fn core_argument(launch_record: DeviceAddr, _runtime: DeviceAddr) -> DeviceAddr {
        launch_record
    }

    fn register_blocks(api: &Api, device: i32) -> Result<Vec<u64>, CallError> {
        let base = mapped_registers(api, device)?;
        let present = present_cores(api, device);
        let block = |index: u64| {
            let (core, sub_core) = (index / SUB_CORES, index % SUB_CORES);
            let is_there = present >> core & 1 == 1;
            if is_there { base + core * A2A3_CORE_STRIDE + sub_core * SUB_CORE_STRIDE } else { 0 }
        };
        Ok((0..A2A3_CORES * SUB_CORES).map(block).collect())
    }

    fn core_control(api: &Api) -> Result<u64, CallError> {
        let Some(control_address) = api.functions().control_address else { return Ok(0) };
        let (mut address, mut bytes) = (0, 0);
        // SAFETY: the answers go to the locals above.
        let code = unsafe { control_address(&raw mut address, &raw mut bytes) };
        let doing = "looking up where cores synchronise";
        checked("rtGetC2cCtrlAddr", doing, code).map(|()| address)
    }
}

/// Where the control registers of all cores begin.
fn mapped_registers(api: &Api, device: i32) -> Result<u64, CallError> {
    let Some(mem_ctl) = api.functions().mem_ctl else { return Ok(0) };
    let request = MapRequest { kind: MAP_AIC_CONTROL, device: device.unsigned_abs() };
    let mut answer = MapAnswer::default();
    let mut bytes = size_of::<MapAnswer>();
    // SAFETY: the request is readable and the answer writable for the bytes that are named.
    let code = unsafe {
        mem_ctl(
            MEMCTL_MAP,
            (&raw const request).cast(),
            size_of::<MapRequest>(),
            (&raw mut answer).cast(),
            &raw mut bytes,
        )
    };
    let doing = "looking up the registers of the cores";
    checked("halMemCtl", doing, code).map(|()| answer.address)
}

/// Which physical cores there are, as bits; all, where the driver does not say.
fn present_cores(api: &Api, device: i32) -> u64 {
    const ALL: u64 = 0xFFFF_FFFF;
    let Some(device_info) = api.functions().device_info else { return ALL };
    let mut mask = 0_u64;
    // CAST: 8.
    let mut bytes = size_of::<u64>() as i32;
    // SAFETY: the answer is writable for the bytes that are named.
    let code = unsafe {
        device_info(
            device.unsigned_abs(),
            MODULE_AICORE,
            INFO_OCCUPY,
            (&raw mut mask).cast(),
            &raw mut bytes,
        )
    };
    if code == 0 && mask != 0 { mask } else { ALL }
}

impl CannChip for A5 {
    const CHIP: ChipName = ChipName::A5;

    fn launch_record(addresses: &LaunchAddresses) -> KernelArgsA5 {
        KernelArgsA5 {
            device_args: addresses.device_args,
            runtime_args: addresses.runtime,
            regs: addresses.registers,
            log_level: addresses.log_level,
            log_info_v: addresses.log_verbosity,
            ..KernelArgsA5::default()
        }
    }

    fn core_argument(_launch_record: DeviceAddr, runtime: DeviceAddr) -> DeviceAddr {
        runtime
    }

    fn register_blocks(api: &Api, device: i32) -> Result<Vec<u64>, CallError> {
        let mut blocks = Vec::new();
        for core in 0..A5_CORES {
            let base = resource_map(api, device, core)?;
            blocks.extend((0..SUB_CORES).map(|sub_core| base + sub_core * SUB_CORE_STRIDE));
        }
        Ok(blocks)
    }

    fn core_control(_api: &Api) -> Result<u64, CallError> {
        Ok(0)
    }
}

/// Where the registers of one physical core of the a5 begin.
fn resource_map(api: &Api, device: i32, core: u32) -> Result<u64, CallError> {
    let Some(resource_map) = api.functions().resource_map else { return Ok(0) };
    let request = ResourceRequest { kind: RESOURCE_AICORE, core, flags: 0, reserved: [0; 5] };
    let (mut address, mut bytes) = (0, 0);
    // SAFETY: the request is readable, and the answers go to the locals above.
    let code = unsafe {
        resource_map(device.unsigned_abs(), &raw const request, &raw mut address, &raw mut bytes)
    };
    checked("halResMap", "mapping the registers of a core", code).map(|()| address)
}
