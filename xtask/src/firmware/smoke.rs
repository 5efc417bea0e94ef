//! Loads the image into this process and calls its entry points with what they must refuse.
//!
//! It shows that the file is loadable by an ordinary loader, that its platform works without a C
//! library, and that log frames come out. Whole runs are the business of the tests.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use protocol::{Chip, RuntimeRecord, StatusCode};
use zerocopy::FromZeros;

/// Bytes drained at once; a frame is far smaller.
const DRAIN_BYTES: usize = 1024;

type Execute<C> = unsafe extern "C" fn(*const <C as Chip>::Runtime) -> i32;
type Drain = unsafe extern "C" fn(*mut u8, usize) -> usize;
type Base = unsafe extern "C" fn() -> u64;

/// Checks the image at `path`, which is for the chip `C`.
///
/// # Errors
///
/// It cannot be loaded, lacks an entry point, or answers other than it should.
pub(super) fn check<C: Chip>(path: &Path) -> Result<()> {
    // SAFETY: the image has no constructors (`inspect::image` has looked).
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .with_context(|| format!("cannot load {}", path.display()))?;
    // SAFETY: (all) the types are those of aicpu-executor/firmware/src/entry.rs.
    let execute = *unsafe { library.get::<Execute<C>>(b"aicpu_execute\0") }?;
    // SAFETY: as above.
    let drain = *unsafe { library.get::<Drain>(b"aicpu_drain_log\0") }?;
    // SAFETY: as above.
    let base = *unsafe { library.get::<Base>(b"aicpu_image_base\0") }?;

    // SAFETY: null is an argument that the function checks.
    let refused = unsafe { execute(std::ptr::null()) };
    ensure!(refused == -StatusCode::InvalidArgs.code(), "no run record: answered {refused}");
    // The number of threads is where the record of this chip has it, and the memory is missing.
    for (threads, code) in [(0, StatusCode::ThreadCountInvalid), (1, StatusCode::RegionTooSmall)] {
        let refused = execute_empty::<C>(execute, threads);
        ensure!(refused == -code.code(), "a run on {threads} threads: answered {refused}");
    }

    let mut frames = [0xEE_u8; DRAIN_BYTES];
    // SAFETY: the array has the bytes that the call is told of.
    let bytes = unsafe { drain(frames.as_mut_ptr(), frames.len()) };
    let frames = frames.get(..bytes).context("more bytes drained than there was room for")?;
    ensure!(frames.last() == Some(&0), "the refusals left no whole log frame: {frames:02x?}");
    // SAFETY: as above, with no room at all.
    let left = unsafe { drain(std::ptr::null_mut(), 0) };
    ensure!(left == 0, "{left} bytes drained into nothing");
    // SAFETY: the function has no conditions.
    let base = unsafe { base() };
    ensure!(base != 0 && base % 4096 == 0, "the image lies at {base:#x}");
    println!("  loads and answers: {bytes} bytes of log frames");
    Ok(())
}

/// Calls `execute` with a run record of zeroes but for its number of threads.
fn execute_empty<C: Chip>(execute: Execute<C>, threads: i32) -> i32 {
    let mut record = Box::new(C::Runtime::new_zeroed());
    record.body_mut().sche_cpu_num = threads;
    // SAFETY: the record stays until the call has returned.
    unsafe { execute(&raw const *record) }
}
