//! What the driver's server on the chip calls.
//!
//! | symbol | when, on how many threads |
//! |---|---|
//! | `StaticTileFwkBackendKernelServer` | once the image is loaded, on one: nothing is to be done |
//! | `DynTileFwkBackendKernelServerInit` | before each launch, on one |
//! | `DynTileFwkBackendKernelServer` | for each launch, on more than take part in the run: see [`admission`](crate::admission) |
//!
//! The records are written by the host through a path that the AICPU's caches do not see on every chip, so
//! they are taken from memory anew each time. Of the run record that is the part that only the host writes;
//! the handshakes before it are the executor's business, which others write to at the same time.

use core::ffi::c_void;

use aicpu_linux::cache;
use protocol::{Chip, RuntimeBody, RuntimeRecord};

use super::{Runtime, record, set_level, set_verbosity, take_part};
use crate::admission::ADMISSION;
use crate::resident::executor;
use crate::this_chip::ThisChip;

/// The launch record of this image's chip.
type KernelArgs = <ThisChip as Chip>::KernelArgs;

/// Called when the server has loaded the image. Returns 0.
#[unsafe(no_mangle)]
extern "C" fn StaticTileFwkBackendKernelServer(_args: *mut c_void) -> i32 {
    0
}

/// Sets the log thresholds of a launch, and has places counted from the first. Returns 0, or minus a status
/// code.
///
/// # Safety
///
/// `args` is null, or points at a launch record that stays as it is meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn DynTileFwkBackendKernelServerInit(args: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    match unsafe { launch_record("DynTileFwkBackendKernelServerInit", args) } {
        Ok(args) => {
            set_level(args.log_level);
            set_verbosity(args.log_info_v);
            ADMISSION.begin();
            0
        }
        Err(status) => status,
    }
}

/// Takes part in the run of a launch, or leaves at once where all places are taken. Returns 0, or minus the
/// status code of the run's first fault.
///
/// # Safety
///
/// `args` is null, or points at a launch record, which names its run record; both stay as they are until all
/// threads of the launch have returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn DynTileFwkBackendKernelServer(args: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    match unsafe { serve(args) } {
        Ok(status) | Err(status) => status,
    }
}

/// As the entry point, with what is refused as an error.
///
/// # Safety
///
/// As for the entry point.
unsafe fn serve(args: *mut c_void) -> Result<i32, i32> {
    const ENTRY: &str = "DynTileFwkBackendKernelServer";
    // SAFETY: the caller's promise.
    let args = unsafe { launch_record(ENTRY, args) }?;
    // CAST: both targets have 64-bit addresses.
    let runtime = core::ptr::with_exposed_provenance::<Runtime>(args.runtime_args.raw() as usize);
    // SAFETY: the caller's promise.
    let runtime = unsafe { record(ENTRY, "run record", runtime) }?;
    let body: *const RuntimeBody = runtime.body();
    cache::invalidate(body.expose_provenance() as u64, size_of::<RuntimeBody>());
    let body = runtime.body();
    // A host that numbers its runs need not have anybody sent away: the executor knows who is late.
    if !body.extension.valid() && !ADMISSION.admits(body.sche_cpu_num) {
        return Ok(0);
    }
    executor().platform().set_register_table(args.regs.raw());
    // SAFETY: the caller's promise.
    Ok(unsafe { take_part(runtime) })
}

/// The launch record that an entry point was passed, as it is in memory now.
///
/// # Safety
///
/// As for the entry points.
unsafe fn launch_record<'a>(entry: &str, args: *mut c_void) -> Result<&'a KernelArgs, i32> {
    // SAFETY: the caller's promise.
    let args = unsafe { record(entry, "launch record", args.cast_const().cast::<KernelArgs>()) }?;
    let address: *const KernelArgs = args;
    cache::invalidate(address.expose_provenance() as u64, size_of::<KernelArgs>());
    Ok(args)
}
