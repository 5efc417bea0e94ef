//! The functions that the backend binds, under the vendor's names.
//!
//! Their parameters are as the backend declares them: both are of this project, and neither is a proof of what
//! the vendor's are.

use std::ffi::{c_char, c_void};
use std::time::{Duration, Instant};

use crate::books::{
    BAD_ARGUMENT, Books, NO_CONTEXT, NO_MEMORY, NO_STREAM, OK, Plan, REPEATED, books,
};
use crate::chip::{self, Chip, Work};

/// To the device.
const COPY_TO_DEVICE: i32 = 1;

/// Notes a call that needs no context, and does `act` unless it is to fail.
fn noted(name: &'static str, act: impl FnOnce(&mut Books) -> i32) -> i32 {
    let mut books = books();
    match books.call(name) {
        Some(Plan::Fail(code)) => code,
        Some(Plan::Pretend) => OK,
        Some(Plan::Hang) | None => act(&mut books),
    }
}

/// As [`noted`], for a call that needs a context.
pub(crate) fn attached(name: &'static str, act: impl FnOnce(&mut Books) -> i32) -> i32 {
    noted(name, |books| if books.is_attached(name) { act(books) } else { NO_CONTEXT })
}

#[unsafe(no_mangle)]
extern "C" fn aclInit(_path: *const c_char) -> i32 {
    noted("aclInit", |books| {
        if std::mem::replace(&mut books.is_initialised, true) {
            return REPEATED;
        }
        if books.chip.is_none() {
            match Chip::new() {
                Ok(chip) => books.chip = Some(chip),
                Err(error) => books.violation(format!("aclInit: {error}")),
            }
        }
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclFinalize() -> i32 {
    noted("aclFinalize", |books| {
        if !std::mem::replace(&mut books.is_initialised, false) {
            books.violation("aclFinalize was called before aclInit".to_owned());
        }
        if books.opening != 0 {
            books.violation("aclFinalize was called before the device was reset".to_owned());
        }
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclrtSetDevice(device: i32) -> i32 {
    noted("aclrtSetDevice", |books| {
        if !books.is_initialised {
            books.violation("aclrtSetDevice was called before aclInit".to_owned());
        }
        if device != 0 {
            return 107_001;
        }
        books.attach();
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclrtResetDevice(_device: i32) -> i32 {
    attached("aclrtResetDevice", |books| {
        if books.is_busy() {
            books.violation("aclrtResetDevice was called with work under way".to_owned());
        }
        for left in books.close() {
            books.violation(format!("aclrtResetDevice: {left} was not given back"));
        }
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclrtResetDeviceForce(_device: i32) -> i32 {
    attached("aclrtResetDeviceForce", |books| {
        // What is left is what it is for.
        let _is_gone = books.close();
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclrtSetOpExecuteTimeOutV2(microseconds: u64, actual: *mut u64) -> i32 {
    attached("aclrtSetOpExecuteTimeOutV2", |books| {
        books.op_timeout = Some(Duration::from_micros(microseconds));
        // SAFETY: where the caller wants it.
        unsafe { actual.write(microseconds) };
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn aclrtSynchronizeStreamWithTimeout(stream: *mut c_void, milliseconds: i32) -> i32 {
    const NAME: &str = "aclrtSynchronizeStreamWithTimeout";
    let limit = Duration::from_millis(milliseconds.unsigned_abs().into());
    let number = stream.addr() as u64;
    let mut work = Vec::new();
    if let Some(book) = books().streams.get_mut(&number) {
        book.is_awaited = true;
    }
    let code = attached(NAME, |books| {
        // Of a run, one stream is waited for with all its time, and the other with what is left.
        let is_run = books.streams.values().any(|it| !it.is_awaited && !it.work.is_empty());
        if limit.is_zero() || (is_run && books.op_timeout.is_some_and(|op| op >= limit)) {
            books.violation(format!("{NAME}: a limit of {limit:?} below that of kernels"));
        }
        let Some(book) = books.streams.get_mut(&number) else {
            books.violation(format!("{NAME}: no stream {number}"));
            return NO_STREAM;
        };
        work = std::mem::take(&mut book.work);
        if book.is_stuck {
            work.push(Work::Endless);
        }
        OK
    });
    if code != OK {
        return code;
    }
    // Not locked: others go on meanwhile.
    let (code, has_ended) = chip::wait(work, Instant::now() + limit);
    if let Some(book) = books().streams.get_mut(&number) {
        book.is_stuck = !has_ended;
        if has_ended {
            book.uses.clear();
        }
    }
    code
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn rtStreamCreate(stream: *mut *mut c_void, _flags: i32) -> i32 {
    attached("rtStreamCreate", |books| {
        let number = books.add_stream();
        // SAFETY: where the caller wants it.
        unsafe { stream.write(std::ptr::without_provenance_mut(number as usize)) };
        OK
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn rtStreamDestroy(stream: *mut c_void) -> i32 {
    attached("rtStreamDestroy", |books| match books.streams.remove(&(stream.addr() as u64)) {
        Some(book) => {
            if book.is_busy() {
                books.violation("rtStreamDestroy: a stream with work under way".to_owned());
            }
            OK
        }
        None => {
            books.violation(format!("rtStreamDestroy: no stream {}", stream.addr()));
            NO_STREAM
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn rtMalloc(to: *mut *mut c_void, bytes: u64, _kind: u32, _module: u16) -> i32 {
    attached("rtMalloc", |books| {
        if bytes == 0 {
            return BAD_ARGUMENT;
        }
        let Some(chip) = &books.chip else { return NO_MEMORY };
        let Some(address) = chip.find_room(&books.memory, bytes) else { return NO_MEMORY };
        chip.spoil(address, bytes);
        books.memory.insert(address, bytes);
        // SAFETY: where the caller wants it.
        unsafe { to.write(std::ptr::without_provenance_mut(address as usize)) };
        OK
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn rtFree(address: *mut c_void) -> i32 {
    attached("rtFree", |books| {
        let address = address.addr() as u64;
        let Some(bytes) = books.memory.remove(&address) else {
            books.violation(format!("rtFree: nothing is allocated at {address:#x}"));
            return BAD_ARGUMENT;
        };
        if books.is_used(address, bytes) {
            books.violation(format!("rtFree: what is under way uses {address:#x}"));
        }
        if let Some(chip) = &books.chip {
            chip.give_back(address, bytes);
        }
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn rtMemcpy(
    to: *mut c_void,
    room: u64,
    from: *const c_void,
    bytes: u64,
    way: i32,
) -> i32 {
    attached("rtMemcpy", |books| {
        let is_in = way == COPY_TO_DEVICE;
        let (device, host) =
            if is_in { (to.addr(), from.addr()) } else { (from.addr(), to.addr()) };
        if room < bytes || !books.is_live("rtMemcpy", device as u64, bytes) {
            return BAD_ARGUMENT;
        }
        let Some(chip) = &books.chip else { return BAD_ARGUMENT };
        let bytes = bytes as usize;
        if is_in {
            let host = std::ptr::with_exposed_provenance(host);
            // SAFETY: the caller's buffer, of so many bytes.
            chip.copy_in(device as u64, unsafe { std::slice::from_raw_parts(host, bytes) });
        } else {
            let host = std::ptr::with_exposed_provenance_mut(host);
            // SAFETY: as above.
            chip.copy_out(unsafe { std::slice::from_raw_parts_mut(host, bytes) }, device as u64);
        }
        OK
    })
}

#[cfg(test)]
pub(crate) mod tests;
