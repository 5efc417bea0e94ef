//! Functions that say where on the chip something is.
//!
//! Registers of the cores are the first bytes of device memory, which the stand-in's cores look at.

use std::ffi::c_void;

use crate::books::OK;
use crate::chip::Chip;
use crate::exports::attached;

/// Bytes from one physical core of an a5 to the next.
const A5_CORE_BYTES: u64 = 3 << 20;

#[unsafe(no_mangle)]
extern "C" fn rtGetC2cCtrlAddr(address: *mut u64, bytes: *mut u32) -> i32 {
    attached("rtGetC2cCtrlAddr", |_| {
        // SAFETY: where the caller wants it.
        unsafe { (address.write(0), bytes.write(0)) };
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn halMemCtl(
    _what: i32,
    _request: *const c_void,
    _bytes: usize,
    answer: *mut c_void,
    _room: *mut usize,
) -> i32 {
    attached("halMemCtl", |books| {
        let registers = books.chip.as_ref().map_or(0, Chip::registers);
        // SAFETY: where the caller wants it.
        unsafe { answer.cast::<u64>().write(registers) };
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn halGetDeviceInfoByBuff(
    _device: u32,
    _module: i32,
    _query: i32,
    answer: *mut c_void,
    _room: *mut i32,
) -> i32 {
    attached("halGetDeviceInfoByBuff", |_| {
        // All 25.
        // SAFETY: where the caller wants it.
        unsafe { answer.cast::<u64>().write(0x1FF_FFFF) };
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn halResMap(
    _device: u32,
    request: *const u32,
    address: *mut u64,
    bytes: *mut u32,
) -> i32 {
    attached("halResMap", |books| {
        let registers = books.chip.as_ref().map_or(0, Chip::registers);
        // SAFETY: as the caller says; the core's number is the second word.
        let core = unsafe { request.add(1).read() };
        // SAFETY: where the caller wants it.
        unsafe {
            address.write(registers + u64::from(core) * A5_CORE_BYTES);
            bytes.write(A5_CORE_BYTES as u32);
        }
        OK
    })
}
