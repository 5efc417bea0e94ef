//! Contexts, and memory of their devices (spec callable §2).

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use protocol::DeviceAddr;

use crate::client_memory::{self, Access};
use crate::context::Context;
use crate::failure::Failure;
use crate::guard::{call, keep_panics_quiet, no_context, with_context};
use crate::handles::CONTEXTS;
use crate::log;
use crate::variant::Variant;

/// `create_device_context`.
pub fn create(variant: Variant) -> *mut c_void {
    call(|| {
        keep_panics_quiet();
        Ok(CONTEXTS.publish(Arc::new(Context::new(variant))))
    })
}

/// `destroy_device_context`.
pub fn destroy(context: *mut c_void) {
    if context.is_null() {
        return;
    }
    call(|| {
        // Whoever is in a call on it holds it too; the last one closes the device.
        let context = CONTEXTS.withdraw(context).ok_or_else(|| no_context(context))?;
        context.finalize();
        Ok(())
    });
}

/// `simpler_init`.
pub fn init(context: *mut c_void, device_id: c_int, level: c_int, info_v: c_int) -> c_int {
    with_context(context, |context| {
        log::forward();
        context.init(device_id)?;
        // Only then: a call that fails leaves the logger as it is (spec callable §2).
        log::set_levels(level, info_v);
        log::bind_thread(device_id);
        Ok(0)
    })
}

/// `finalize_device`.
pub fn finalize(context: *mut c_void) -> c_int {
    with_context(context, |context| {
        context.finalize();
        log::bind_thread(-1);
        Ok(0)
    })
}

/// `device_malloc_ctx`.
pub fn allocate(context: *mut c_void, bytes: usize) -> *mut c_void {
    with_context(context, |context| {
        let address = context.allocate(bytes)?.raw();
        // CAST: the supported targets have 64 bits.
        Ok(std::ptr::with_exposed_provenance_mut(address as usize))
    })
}

/// `device_free_ctx`.
pub fn free(context: *mut c_void, address: *mut c_void) {
    if !context.is_null() && !address.is_null() {
        with_context(context, |context| context.free(device_address(address)));
    }
}

/// `copy_to_device_ctx`.
///
/// # Safety
///
/// Nobody changes or unmaps the `bytes` bytes at `from` meanwhile.
pub unsafe fn copy_in(
    context: *mut c_void,
    to: *mut c_void,
    from: *const c_void,
    bytes: usize,
) -> c_int {
    with_context(context, |context| {
        let to = checked("the device address", to)?;
        check_not_null("the host address", from)?;
        if bytes == 0 {
            return Ok(0);
        }
        client_memory::check("the host memory", from, bytes, Access::Read)?;
        if overlaps(from, to, bytes) {
            // SAFETY: as the caller promises.
            let copied = unsafe { client_memory::copy("the host memory", from, bytes)? };
            context.copy_in(to, &copied)?;
            return Ok(0);
        }
        // SAFETY: readable, as was just found, and as it is, as the caller promises; no part of it
        // is where the bytes go.
        context.copy_in(to, unsafe { std::slice::from_raw_parts(from.cast(), bytes) })?;
        Ok(0)
    })
}

/// `copy_from_device_ctx`.
///
/// # Safety
///
/// Nobody reads, changes or unmaps the `bytes` bytes at `to` meanwhile.
pub unsafe fn copy_out(
    context: *mut c_void,
    to: *mut c_void,
    from: *const c_void,
    bytes: usize,
) -> c_int {
    with_context(context, |context| {
        let from = checked("the device address", from.cast_mut())?;
        check_not_null("the host address", to)?;
        if bytes == 0 {
            return Ok(0);
        }
        client_memory::check("the host memory", to, bytes, Access::Write)?;
        if overlaps(to, from, bytes) {
            let mut copied = Vec::new();
            let room = copied.try_reserve_exact(bytes);
            room.map_err(|_| Failure::refused(format!("no memory for {bytes} bytes")))?;
            copied.resize(bytes, 0);
            context.copy_out(&mut copied, from)?;
            // SAFETY: writable, as was just found; the vector is no part of it.
            unsafe { to.cast::<u8>().copy_from_nonoverlapping(copied.as_ptr(), bytes) };
            return Ok(0);
        }
        // SAFETY: writable, as was just found, and nobody else's, as the caller promises.
        let to = unsafe { std::slice::from_raw_parts_mut(to.cast(), bytes) };
        context.copy_out(to, from)?;
        Ok(0)
    })
}

/// `ensure_acl_ready_ctx`: the simulator has nothing to make ready.
pub fn ensure_acl_ready(context: *mut c_void) -> c_int {
    with_context(context, |_| Ok(0))
}

/// `create_comm_stream_ctx`: the simulator has no streams, and NULL stands for the one it does not
/// need.
pub fn create_comm_stream(context: *mut c_void) -> *mut c_void {
    with_context(context, |_| Ok(std::ptr::null_mut()))
}

/// `destroy_comm_stream_ctx`.
pub fn destroy_comm_stream(context: *mut c_void) -> c_int {
    with_context(context, |_| Ok(0))
}

/// A device address that is not null.
fn checked(what: &str, address: *mut c_void) -> Result<DeviceAddr, Failure> {
    check_not_null(what, address)?;
    Ok(device_address(address))
}

fn check_not_null(what: &str, address: *const c_void) -> Result<(), Failure> {
    if address.is_null() { Err(Failure::refused(format!("{what} is NULL"))) } else { Ok(()) }
}

/// A device address as the client holds it.
fn device_address(address: *mut c_void) -> DeviceAddr {
    // CAST: the supported targets have 64 bits.
    DeviceAddr::new(address.expose_provenance() as u64)
}

/// Whether host and device memory share bytes: on a simulator both are memory of this process.
fn overlaps(host: *const c_void, device: DeviceAddr, bytes: usize) -> bool {
    // CAST: as above.
    (host.addr() as u64).abs_diff(device.raw()) < bytes as u64
}
