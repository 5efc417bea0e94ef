//! The functions that start something: what they name must be there, and stays in use until it has been waited for.

use std::ffi::{c_char, c_void};

use crate::books::{BAD_ARGUMENT, Books, NO_CONTEXT, NO_STREAM, OK, Plan, books};
use crate::chip::{AicpuLaunch, Work};
use crate::exports::attached;

/// Kernel type of a launch that keeps its shared object.
const AICPU_KFC: u32 = 5;

/// The arguments of an AICPU launch.
#[repr(C)]
#[derive(Debug)]
pub struct AicpuArguments {
    args: *const u8,
    _host_inputs: *const c_void,
    _offsets: *const c_void,
    bytes: u32,
    _counts: [u16; 2],
    so_name: u32,
    kernel_name: u32,
    is_on_device: u8,
}

/// The arguments of a launch on the cores.
#[repr(C)]
#[derive(Debug)]
pub struct CoreArguments {
    args: *const u64,
    _host_inputs: *const c_void,
    bytes: u32,
}

/// A program of the cores.
#[repr(C)]
#[derive(Debug)]
pub struct CoreImage {
    _kind: u32,
    _version: u32,
    data: *const u8,
    bytes: u64,
}

/// What a launch has started.
#[derive(Debug)]
pub struct Started {
    /// What is under way.
    pub work: Work,
    /// Addresses of device memory that it uses.
    pub uses: Vec<u64>,
}

/// Puts what was started on a stream, or notes which rule it broke.
fn enqueue(
    books: &mut Books,
    name: &str,
    stream: u64,
    start: impl FnOnce(&mut Books) -> Result<Result<Started, i32>, String>,
) -> i32 {
    if !books.streams.contains_key(&stream) {
        books.violation(format!("{name}: no stream {stream}"));
        return NO_STREAM;
    }
    match start(books) {
        Ok(Ok(Started { work, uses })) => {
            let book = books.streams.entry(stream).or_default();
            book.work.push(work);
            book.uses.extend(uses);
            book.is_awaited = false;
            OK
        }
        Ok(Err(code)) => code,
        Err(rule) => {
            books.violation(format!("{name}: {rule}"));
            BAD_ARGUMENT
        }
    }
}

/// Notes a launch, which may be one that never ends or never happens.
fn launched(
    name: &'static str,
    stream: *mut c_void,
    start: impl FnOnce(&mut Books) -> Result<Result<Started, i32>, String>,
) -> i32 {
    let mut books = books();
    let plan = books.call(name);
    if !books.is_attached(name) {
        return NO_CONTEXT;
    }
    let stream = stream.addr() as u64;
    match plan {
        Some(Plan::Fail(code)) => code,
        Some(Plan::Pretend) => OK,
        Some(Plan::Hang) => {
            let endless = Started { work: Work::Endless, uses: Vec::new() };
            enqueue(&mut books, name, stream, |_| Ok(Ok(endless)))
        }
        None => enqueue(&mut books, name, stream, start),
    }
}

#[unsafe(no_mangle)]
extern "C" fn rtAicpuKernelLaunchExWithArgs(
    kind: u32,
    _operator: *const c_char,
    threads: u32,
    arguments: *const AicpuArguments,
    _none: *mut c_void,
    stream: *mut c_void,
    _flags: u32,
) -> i32 {
    launched("rtAicpuKernelLaunchExWithArgs", stream, |books| {
        // SAFETY: as the caller says.
        let arguments = unsafe { &*arguments };
        if kind != AICPU_KFC || arguments.is_on_device != 0 {
            return Err(format!("kernel type {kind}"));
        }
        // SAFETY: as the caller says.
        let args = unsafe { std::slice::from_raw_parts(arguments.args, arguments.bytes as usize) };
        let (so_name, kernel_name) = (arguments.so_name, arguments.kernel_name);
        let Books { chip, memory, .. } = books;
        let Some(chip) = chip else { return Ok(Err(BAD_ARGUMENT)) };
        chip.launch_aicpu(&AicpuLaunch { args, so_name, kernel_name, threads }, memory)
    })
}

#[unsafe(no_mangle)]
extern "C" fn rtRegisterAllKernel(image: *const CoreImage, handle: *mut *mut c_void) -> i32 {
    attached("rtRegisterAllKernel", |books| {
        // SAFETY: as the caller says.
        let image = unsafe { &*image };
        // CAST: both machines have 64-bit addresses.
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(image.data, image.bytes as usize) };
        if !bytes.starts_with(b"\x7fELF") {
            books.violation("rtRegisterAllKernel: no ELF file".to_owned());
            return BAD_ARGUMENT;
        }
        books.programs += 1;
        // SAFETY: where the caller wants it.
        unsafe { handle.write(std::ptr::without_provenance_mut(books.programs as usize)) };
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn rtKernelLaunchWithHandleV2(
    handle: *mut c_void,
    _key: u64,
    blocks: u32,
    arguments: *const CoreArguments,
    _none: *mut c_void,
    stream: *mut c_void,
    _config: *const c_void,
) -> i32 {
    launched("rtKernelLaunchWithHandleV2", stream, |books| {
        // SAFETY: as the caller says.
        let arguments = unsafe { &*arguments };
        let program = handle.addr() as u64;
        if !(1..=books.programs).contains(&program) || arguments.bytes != 8 {
            return Err(format!("a launch without its argument, or of no program: {program}"));
        }
        let Books { chip, memory, .. } = books;
        let Some(chip) = chip else { return Ok(Err(BAD_ARGUMENT)) };
        // SAFETY: as the caller says.
        chip.launch_cores(blocks, unsafe { arguments.args.read() }, memory)
    })
}

#[cfg(test)]
mod tests;
