//! The nine operations as C functions, and how they find the call of the entry that they belong to.
//!
//! The session of an entry's call is known to its thread, and nothing is read through the runtime
//! pointer that an orchestration passes: a call from another thread, after the entry has returned, or
//! with a pointer of its own making finds no session, or finds that the pointer is a wrong one.
//! Neither does harm.
//!
//! No panic gets into the orchestration: it is kept, and goes on when the entry has returned.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use protocol::{
    DeviceAddr, GRAPH_TASK_ARGS, OrchestrationRuntime, OrchestrationRuntimeOps, TensorInfo,
};
use zerocopy::{FromBytes, IntoBytes};

use super::session::Session;
use super::{CallError, CallFault, listing, strays};
use crate::graph::GraphError;

/// The table that every runtime object points to.
pub(super) static OPERATIONS: OrchestrationRuntimeOps = OrchestrationRuntimeOps {
    add_task,
    set_tensor_info_to_task,
    add_successor,
    record_tensor_pair,
    get_task_count,
    print_runtime,
    device_malloc,
    device_free,
    copy_to_device,
};

/// The call of an entry that this thread is in.
#[derive(Clone, Copy)]
struct Current {
    object: *const OrchestrationRuntime,
    /// Null while an operation has it.
    session: *mut Session<'static>,
}

impl Current {
    const NONE: Self = Self { object: ptr::null(), session: ptr::null_mut() };
}

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(Current::NONE) };
}

/// Puts back what was there before, however a call ends.
struct Restore(Current);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Calls an entry whose operations belong to `session` and are made with `object`.
pub(super) fn with_session<R>(
    object: *const OrchestrationRuntime,
    session: &mut Session<'_>,
    entry: impl FnOnce() -> R,
) -> R {
    // The lifetime is that of the call: no operation finds the session after it.
    let session = ptr::from_mut(session).cast::<Session<'static>>();
    let _restore = Restore(CURRENT.replace(Current { object, session }));
    entry()
}

/// Carries an operation out, unless it must not be: then the orchestration gets `refused`.
fn operate<R>(
    runtime: *mut OrchestrationRuntime,
    call: &'static str,
    refused: R,
    work: impl FnOnce(&mut Session<'_>) -> Result<R, CallFault>,
) -> R {
    let current = CURRENT.get();
    if current.session.is_null() {
        strays::refuse(runtime, call);
        return refused;
    }
    CURRENT.set(Current { session: ptr::null_mut(), ..current });
    let _restore = Restore(current);
    // SAFETY: set by `with_session`, in which this thread still is, and whose session nobody touches
    // but the operation that has taken it here.
    let session = unsafe { &mut *current.session };
    if session.wrong.is_some() || session.panic.is_some() {
        return refused;
    }
    let done = if ptr::eq(current.object, runtime) {
        catch_unwind(AssertUnwindSafe(|| work(session)))
    } else {
        Ok(Err(CallFault::OtherRuntime))
    };
    match done {
        Ok(Ok(result)) => return result,
        Ok(Err(cause)) => session.wrong = Some(CallError { call, cause }),
        Err(panic) => session.panic = Some(panic),
    }
    refused
}

/// The address of a pointer that comes from an orchestration.
fn device_address(pointer: *mut c_void) -> DeviceAddr {
    // CAST: usize is 64 bits on the supported targets.
    DeviceAddr::new(pointer.expose_provenance() as u64)
}

/// Adds a task.
///
/// # Safety
///
/// `args` has `count` words, unless that is not possible.
unsafe extern "C" fn add_task(
    runtime: *mut OrchestrationRuntime,
    args: *mut u64,
    count: i32,
    func_id: i32,
    core_type: i32,
) -> i32 {
    operate(runtime, "add_task", -1, |session| {
        let used = usize::try_from(count).ok().filter(|count| *count <= GRAPH_TASK_ARGS);
        let used = used.ok_or_else(|| session.argument_count(count))?;
        let args = args.cast_const().cast::<[u8; size_of::<u64>()]>();
        let bytes = used * size_of::<u64>();
        if args.is_null() && bytes > 0 {
            return Err(CallFault::Null { what: "the argument array", bytes });
        }
        let args = if args.is_null() { ptr::dangling() } else { args };
        // SAFETY: the caller's promise; as bytes, since nobody has said that the array is aligned.
        let args = unsafe { slice::from_raw_parts(args, used) };
        session.add_task(args, func_id, core_type)
    })
}

/// Says what a task's tensors look like. What is wrong about it is no reason to fail the run.
///
/// # Safety
///
/// `infos` has `count` records, unless that is not possible.
unsafe extern "C" fn set_tensor_info_to_task(
    runtime: *mut OrchestrationRuntime,
    task: i32,
    infos: *const TensorInfo,
    count: i32,
) -> i32 {
    const CALL: &str = "set_tensor_info_to_task";
    operate(runtime, CALL, -1, |session| {
        let mut records = [TensorInfo::default(); GRAPH_TASK_ARGS];
        let used = usize::try_from(count).ok().and_then(|count| records.get_mut(..count));
        let said = used.ok_or_else(|| tensor_count(task, count)).and_then(|used| {
            // SAFETY: the caller's promise.
            unsafe { fill("the array of records", infos, used) }?;
            Ok(session.builder.set_tensor_info(task, used)?)
        });
        Ok(match said {
            Ok(()) => 0,
            Err(cause) => {
                session.mention(CALL, cause);
                -1
            }
        })
    })
}

/// Why a task cannot have this number of tensors.
fn tensor_count(task: i32, have: i32) -> CallFault {
    GraphError::TensorInfoCount { task, have: have.into(), limit: GRAPH_TASK_ARGS }.into()
}

/// Fills `to` with what an orchestration has in an array.
///
/// # Safety
///
/// If it is not null, the array can be read and is as long as `to`.
unsafe fn fill<T: FromBytes + IntoBytes>(
    what: &'static str,
    from: *const T,
    to: &mut [T],
) -> Result<(), CallFault> {
    let bytes = size_of_val(to);
    if bytes > 0 && from.is_null() {
        return Err(CallFault::Null { what, bytes });
    }
    let to = to.as_mut_bytes().as_mut_ptr();
    // SAFETY: the caller's promise; of no bytes, any pointer will do. As bytes, since nobody has said
    // that the array is aligned.
    unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to, bytes) };
    Ok(())
}

/// Adds an edge.
unsafe extern "C" fn add_successor(runtime: *mut OrchestrationRuntime, from: i32, to: i32) {
    operate(runtime, "add_successor", (), |session| Ok(session.builder.add_successor(from, to)?));
}

/// Notes an output. The host memory is not touched before the run has ended.
unsafe extern "C" fn record_tensor_pair(
    runtime: *mut OrchestrationRuntime,
    host: *mut c_void,
    device: *mut c_void,
    bytes: usize,
) {
    operate(runtime, "record_tensor_pair", (), |session| {
        session.record_output(host.expose_provenance(), device_address(device), bytes)
    });
}

/// Tasks so far.
unsafe extern "C" fn get_task_count(runtime: *mut OrchestrationRuntime) -> i32 {
    // CAST: a graph has at most 2^31 - 1 tasks.
    operate(runtime, "get_task_count", -1, |session| Ok(session.builder.task_count() as i32))
}

/// Writes the graph so far to the log.
unsafe extern "C" fn print_runtime(runtime: *mut OrchestrationRuntime) {
    operate(runtime, "print_runtime", (), |session| {
        listing::show(session.builder);
        Ok(())
    });
}

/// Allocates memory of the run.
unsafe extern "C" fn device_malloc(
    runtime: *mut OrchestrationRuntime,
    bytes: usize,
) -> *mut c_void {
    let address =
        operate(runtime, "device_malloc", DeviceAddr::default(), |session| session.allocate(bytes));
    // CAST: usize is 64 bits on the supported targets.
    ptr::with_exposed_provenance_mut(address.raw() as usize)
}

/// Gives memory of the run back.
unsafe extern "C" fn device_free(runtime: *mut OrchestrationRuntime, device: *mut c_void) {
    operate(runtime, "device_free", (), |session| session.free(device_address(device)));
}

/// Copies to the device.
///
/// # Safety
///
/// `host` has `bytes` bytes that can be read.
unsafe extern "C" fn copy_to_device(
    runtime: *mut OrchestrationRuntime,
    device: *mut c_void,
    host: *const c_void,
    bytes: usize,
) -> i32 {
    operate(runtime, "copy_to_device", -1, |session| {
        // SAFETY: the caller's promise.
        unsafe { session.copy_in(device_address(device), host.expose_provenance(), bytes) }?;
        Ok(0)
    })
}
