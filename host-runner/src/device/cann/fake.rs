//! Functions in place of the vendor's, for tests in this crate: they keep a record of what was called, and
//! one chosen call fails. Device memory is memory of this process, and the AICPU does at once what a record
//! asks for.
//!
//! Each thread has its own; the claim of a process is one, so tests take turns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::{A2a3, Chip, KernelArgsA2a3, LogArea, RunReport, RuntimeRecord};
use zerocopy::{FromBytes, IntoBytes};

use aicpu_executor::loader::Machine;

use super::ffi::{AicpuLaunch, Code, CoreImage, CoreLaunch, LaunchConfig, RawStream};
use super::image::CannConfig;
use super::libraries::Functions;
use crate::device::process::machine_name;

/// What was called, and what is to fail.
#[derive(Default)]
pub(crate) struct Fake {
    /// Names of calls so far.
    pub(crate) calls: Vec<&'static str>,
    /// The call that fails, from 1, and with what; 0 is none.
    pub(crate) fail: (usize, Code),
    /// Live allocations.
    pub(crate) memory: BTreeMap<usize, Vec<u64>>,
    /// Live streams.
    pub(crate) streams: Vec<usize>,
    /// What the AICPU says of the next record: a code; `None`: nothing at all.
    pub(crate) says: Option<i32>,
    /// What waiting for the AICPU's stream returns, and for any on which no cores were started.
    pub(crate) ends: Code,
    /// What waiting for the stream of the cores returns.
    pub(crate) cores_end: Code,
    /// How long kernels may take.
    pub(crate) op_limit_us: u64,
    /// Whether somebody else of the process has initialised the interface.
    pub(crate) is_of_others: bool,
    /// What happens while the next copy is under way, and what the copy returns.
    pub(crate) during_copy: Option<Box<dyn FnOnce() -> Code>>,
    /// The stream on which cores were started last.
    pub(crate) cores_stream: usize,
}

thread_local! {
    static FAKE: RefCell<Fake> = RefCell::default();
}

/// The right to use the fake device of this process.
pub(crate) fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    with(|fake| *fake = Fake { says: Some(0), ..Fake::default() });
    turn
}

/// Looks at the fake of this thread.
pub(crate) fn with<T>(look: impl FnOnce(&mut Fake) -> T) -> T {
    FAKE.with_borrow_mut(look)
}

/// A folder with programs, and the settings that name it.
pub(crate) fn images(chip: &str) -> (tempfile::TempDir, CannConfig) {
    let folder = tempfile::tempdir().unwrap();
    let source = "extern \"C\" int DynTileFwkBackendKernelServer(void *) { return 0; }";
    let object = crate::device::sim::test_objects::cxx_bytes("aicpu", source);
    let machine = Machine::native();
    let write = |path: PathBuf, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let root = folder.path();
    write(
        [root, machine_name(machine).as_ref(), chip.as_ref(), "onboard/libaicpu.so".as_ref()]
            .iter()
            .collect(),
        &object,
    );
    write(root.join("aicore").join(chip).join("aicore.o"), &object);
    let aicpu_images = Some(root.to_owned());
    (folder, CannConfig { aicpu_images, aicpu_machine: machine, ..CannConfig::default() })
}

/// Notes a call; its code if it is the one that fails.
fn called(name: &'static str) -> Code {
    with(|fake| {
        fake.calls.push(name);
        if fake.calls.len() == fake.fail.0 { fake.fail.1 } else { 0 }
    })
}

/// Does `act` unless the call fails.
fn unless_failing(name: &'static str, act: impl FnOnce() -> Code) -> Code {
    match called(name) {
        0 => act(),
        code => code,
    }
}

unsafe extern "C" fn acl_init(_path: *const c_char) -> Code {
    unless_failing("aclInit", || with(|fake| if fake.is_of_others { 100_002 } else { 0 }))
}

unsafe extern "C" fn acl_finalize() -> Code {
    called("aclFinalize")
}

unsafe extern "C" fn set_device(_device: i32) -> Code {
    called("aclrtSetDevice")
}

unsafe extern "C" fn reset_device(_device: i32) -> Code {
    called("aclrtResetDevice")
}

unsafe extern "C" fn reset_device_force(_device: i32) -> Code {
    unless_failing("aclrtResetDeviceForce", || {
        with(|fake| {
            fake.memory.clear();
            fake.streams.clear();
        });
        0
    })
}

unsafe extern "C" fn set_op_timeout(wanted: u64, _actual: *mut u64) -> Code {
    unless_failing("aclrtSetOpExecuteTimeOutV2", || {
        with(|fake| fake.op_limit_us = wanted);
        0
    })
}

unsafe extern "C" fn synchronize(stream: RawStream, _limit: i32) -> Code {
    unless_failing("aclrtSynchronizeStreamWithTimeout", || {
        with(|fake| match stream.addr() {
            stream if !fake.streams.contains(&stream) => 107_003,
            stream if stream == fake.cores_stream => fake.cores_end,
            _ => fake.ends,
        })
    })
}

unsafe extern "C" fn create_stream(stream: *mut RawStream, _flags: i32) -> Code {
    unless_failing("rtStreamCreate", || {
        let number = with(|fake| {
            let number = fake.calls.len();
            fake.streams.push(number);
            number
        });
        // SAFETY: where the caller wants it.
        unsafe { stream.write(std::ptr::without_provenance_mut(number)) };
        0
    })
}

unsafe extern "C" fn destroy_stream(stream: RawStream) -> Code {
    unless_failing("rtStreamDestroy", || {
        with(|fake| match fake.streams.iter().position(|it| *it == stream.addr()) {
            Some(index) => {
                fake.streams.swap_remove(index);
                0
            }
            None => 107_003,
        })
    })
}

unsafe extern "C" fn malloc(to: *mut *mut c_void, bytes: u64, _kind: u32, _module: u16) -> Code {
    unless_failing("rtMalloc", || {
        // Enough to find an address in it that is a multiple of 64.
        let mut words = vec![0xA5A5_A5A5_A5A5_A5A5_u64; bytes as usize / 8 + 16];
        let address = words.as_mut_ptr().expose_provenance().next_multiple_of(64);
        with(|fake| fake.memory.insert(address, words));
        // SAFETY: where the caller wants it.
        unsafe { to.write(std::ptr::with_exposed_provenance_mut(address)) };
        0
    })
}

unsafe extern "C" fn free(address: *mut c_void) -> Code {
    unless_failing("rtFree", || {
        if with(|fake| fake.memory.remove(&address.addr())).is_some() { 0 } else { 107_000 }
    })
}

unsafe extern "C" fn memcpy(
    to: *mut c_void,
    _room: u64,
    from: *const c_void,
    bytes: u64,
    way: i32,
) -> Code {
    unless_failing("rtMemcpy", || {
        if let Some(during) = with(|fake| fake.during_copy.take()) {
            return during();
        }
        let device = if way == super::ffi::COPY_TO_DEVICE { to.addr() } else { from.addr() };
        let is_inside = with(|fake| {
            let block = fake.memory.range(..=device).next_back();
            block.is_some_and(|(start, words)| device + bytes as usize <= start + words.len() * 8)
        });
        if !is_inside {
            return 107_000;
        }
        let to = std::ptr::with_exposed_provenance_mut::<u8>(to.expose_provenance());
        let from = std::ptr::with_exposed_provenance::<u8>(from.expose_provenance());
        // SAFETY: one side was checked above, and the other is a slice of the caller.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes as usize) };
        0
    })
}

unsafe extern "C" fn launch_aicpu(
    _kind: u32,
    _operator: *const c_char,
    threads: u32,
    launch: *const AicpuLaunch,
    _none: *mut c_void,
    _stream: RawStream,
    _flags: u32,
) -> Code {
    unless_failing("rtAicpuKernelLaunchExWithArgs", || {
        // SAFETY: (both) as the caller says.
        let args = unsafe {
            let launch = &*launch;
            std::slice::from_raw_parts(launch.args.cast::<u8>(), launch.args_bytes as usize)
        };
        let (record, _) = KernelArgsA2a3::read_from_prefix(args).unwrap();
        if record.runtime_args.raw() != 0 {
            answer(record.runtime_args.raw() as usize, threads);
        }
        0
    })
}

/// The AICPU: writes what came of a record.
fn answer(record: usize, threads: u32) {
    let Some(code) = with(|fake| fake.says) else { return };
    let record = std::ptr::with_exposed_provenance::<<A2a3 as Chip>::Runtime>(record);
    // SAFETY: the run record is there, which the caller has copied.
    let body = unsafe { &*record }.body();
    assert!(body.extension.valid());
    let run_number = body.extension.run_number;
    let mut report = RunReport { run_number, code, tasks: threads.into(), ..RunReport::NONE };
    if code != 0 {
        report.set_text("as told");
    }
    let place = body.extension.log_area.raw() as usize + std::mem::offset_of!(LogArea, report);
    let place = std::ptr::with_exposed_provenance_mut::<u8>(place);
    let bytes = report.as_bytes();
    // SAFETY: the caller has an area there.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
}

unsafe extern "C" fn register_image(_image: *const CoreImage, handle: *mut *mut c_void) -> Code {
    unless_failing("rtRegisterAllKernel", || {
        // SAFETY: where the caller wants it.
        unsafe { handle.write(std::ptr::without_provenance_mut(1)) };
        0
    })
}

unsafe extern "C" fn launch_cores(
    _handle: *mut c_void,
    _key: u64,
    _blocks: u32,
    _launch: *const CoreLaunch,
    _none: *mut c_void,
    stream: RawStream,
    _config: *const LaunchConfig,
) -> Code {
    unless_failing("rtKernelLaunchWithHandleV2", || {
        with(|fake| fake.cores_stream = stream.addr());
        0
    })
}

unsafe extern "C" fn control_address(address: *mut u64, _bytes: *mut u32) -> Code {
    // SAFETY: where the caller wants it.
    unless_failing("rtGetC2cCtrlAddr", || unsafe {
        address.write(0xFF75);
        0
    })
}

unsafe extern "C" fn mem_ctl(
    _what: i32,
    _request: *const c_void,
    _bytes: usize,
    answer: *mut c_void,
    _room: *mut usize,
) -> Code {
    // SAFETY: where the caller wants it.
    unless_failing("halMemCtl", || unsafe {
        answer.cast::<u64>().write(0x4000_0000);
        0
    })
}

unsafe extern "C" fn device_info(
    _device: u32,
    _module: i32,
    _query: i32,
    answer: *mut c_void,
    _room: *mut i32,
) -> Code {
    // Core 2 is not there.
    // SAFETY: where the caller wants it.
    unless_failing("halGetDeviceInfoByBuff", || unsafe {
        answer.cast::<u64>().write(0x1FF_FFFB);
        0
    })
}

/// All of them, for an a2a3.
pub(crate) const FUNCTIONS: Functions = Functions {
    acl_init,
    acl_finalize,
    set_device,
    reset_device,
    reset_device_force,
    set_op_timeout,
    synchronize,
    create_stream,
    destroy_stream,
    malloc,
    free,
    memcpy,
    launch_aicpu,
    register_image,
    launch_cores,
    control_address: Some(control_address),
    mem_ctl: Some(mem_ctl),
    device_info: Some(device_info),
    resource_map: None,
};
