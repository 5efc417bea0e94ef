//! Each rule, broken once: it is noticed, and what was right is not.

use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::books::LATE;

/// An open device; tests take turns, as the books are the process's.
pub(crate) fn open() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!((aclInit(null()), aclrtSetDevice(0)), (OK, OK));
    books().violations.clear();
    turn
}

/// Closes it; the rules that were broken since it was opened.
pub(crate) fn close() -> Vec<String> {
    aclrtResetDevice(0);
    aclFinalize();
    std::mem::take(&mut books().violations)
}

/// Asserts that one rule was broken, which is told of like this.
#[track_caller]
pub(crate) fn assert_one(violations: &[String], part: &str) {
    let [violation] = violations else { panic!("one violation, not {violations:?}") };
    assert!(violation.contains(part), "{part:?} is not in: {violation}");
}

pub(crate) fn allocate(bytes: u64) -> *mut c_void {
    let mut address = null_mut();
    assert_eq!(rtMalloc(&raw mut address, bytes, 2, 0), OK);
    address
}

pub(crate) fn copy_in(to: *mut c_void, bytes: &[u8]) -> i32 {
    let from = bytes.as_ptr();
    from.expose_provenance();
    rtMemcpy(to, bytes.len() as u64, from.cast(), bytes.len() as u64, COPY_TO_DEVICE)
}

fn copy_out(from: *const c_void, bytes: &mut [u8]) -> i32 {
    let to = bytes.as_mut_ptr();
    to.expose_provenance();
    rtMemcpy(to.cast(), bytes.len() as u64, from, bytes.len() as u64, 2)
}

#[test]
fn what_is_given_back_once_breaks_no_rule() {
    let _turn = open();
    let address = allocate(100);
    assert_eq!(copy_in(address, &[7; 100]), OK);
    let mut back = [0; 100];
    assert_eq!((copy_out(address, &mut back), back), (OK, [7; 100]));
    assert_eq!(rtFree(address), OK);
    let mut stream = null_mut();
    assert_eq!(rtStreamCreate(&raw mut stream, 0), OK);
    assert_eq!(aclrtSynchronizeStreamWithTimeout(stream, 10), OK);
    assert_eq!(rtStreamDestroy(stream), OK);
    assert_eq!(close(), Vec::<String>::new());
}

#[test]
fn fresh_memory_is_not_zero() {
    let _turn = open();
    let address = allocate(64);
    let mut back = [0; 64];
    assert_eq!((copy_out(address, &mut back), back), (OK, [0xA5; 64]));
    rtFree(address);
    assert_eq!(close(), Vec::<String>::new());
}

#[test]
fn memory_that_is_freed_twice_used_afterwards_or_left_is_noticed() {
    let turn = open();
    let address = allocate(64);
    rtFree(address);
    assert_eq!(rtFree(address), BAD_ARGUMENT);
    assert_one(&close(), "rtFree: nothing is allocated");

    drop(turn);
    let turn = open();
    let address = allocate(64);
    rtFree(address);
    assert_eq!(copy_in(address, &[1]), BAD_ARGUMENT);
    assert_one(&close(), "rtMemcpy: 1 bytes");

    drop(turn);
    let turn = open();
    allocate(64);
    assert_one(&close(), "64 bytes at");
    drop(turn);
}

#[test]
fn copies_that_leave_an_allocation_are_noticed() {
    let _turn = open();
    let address = allocate(64);
    assert_eq!(copy_in(address, &[0; 65]), BAD_ARGUMENT);
    rtFree(address);
    assert_one(&close(), "rtMemcpy: 65 bytes");
}

#[test]
fn streams_that_are_destroyed_twice_or_left_are_noticed() {
    let turn = open();
    let mut stream = null_mut();
    rtStreamCreate(&raw mut stream, 0);
    rtStreamDestroy(stream);
    assert_eq!(rtStreamDestroy(stream), NO_STREAM);
    assert_one(&close(), "rtStreamDestroy: no stream");

    drop(turn);
    let turn = open();
    rtStreamCreate(&raw mut stream, 0);
    assert_one(&close(), "was not given back");
    drop(turn);
}

#[test]
fn a_thread_without_a_context_and_a_wrong_order_are_noticed() {
    let turn = open();
    let refused = std::thread::scope(|scope| {
        let allocate = || {
            let mut address = null_mut();
            rtMalloc(&raw mut address, 8, 2, 0)
        };
        scope.spawn(allocate).join().unwrap()
    });
    assert_eq!(refused, NO_CONTEXT);
    assert_one(&close(), "rtMalloc was called by a thread without a context");

    drop(turn);
    let turn = open();
    aclFinalize();
    let violations = std::mem::take(&mut books().violations);
    assert_one(&violations, "before the device was reset");
    aclInit(null());
    assert_eq!(close(), Vec::<String>::new());
    drop(turn);
}

/// A stream with something under way on it that never ends, and that uses this memory.
fn hung(uses: *mut c_void) -> *mut c_void {
    let mut stream = null_mut();
    assert_eq!(rtStreamCreate(&raw mut stream, 0), OK);
    let mut books = books();
    let book = books.streams.get_mut(&(stream.addr() as u64)).unwrap();
    book.work.push(Work::Endless);
    book.uses.push(uses.addr() as u64);
    stream
}

/// The same, when somebody has waited for it in vain.
fn found_hung() -> *mut c_void {
    let stream = hung(null_mut());
    assert_eq!(aclrtSynchronizeStreamWithTimeout(stream, 1), LATE);
    stream
}

#[test]
fn a_stream_that_hangs_is_neither_destroyed_nor_reset_with_its_device_unnoticed() {
    let turn = open();
    let stream = hung(null_mut());
    rtStreamDestroy(stream);
    assert_one(&close(), "a stream with work under way");

    drop(turn);
    let turn = open();
    rtStreamDestroy(found_hung());
    assert_one(&close(), "a stream with work under way");

    drop(turn);
    let turn = open();
    let _stays = found_hung();
    let violations = close();
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(violations[0].contains("aclrtResetDevice was called with work under way"));
    drop(turn);
}

#[test]
fn memory_that_is_freed_while_something_uses_it_is_noticed() {
    let _turn = open();
    let address = allocate(64);
    let stream = hung(address);
    aclrtSynchronizeStreamWithTimeout(stream, 1);
    rtFree(address);
    let violations = std::mem::take(&mut books().violations);
    assert_one(&violations, "rtFree: what is under way uses");
    aclrtResetDeviceForce(0);
    aclFinalize();
}

#[test]
fn a_limit_of_a_run_that_is_not_behind_that_of_kernels_is_noticed() {
    for (limit, broken) in [(10, 1), (11, 0)] {
        let _turn = open();
        let mut actual = 0;
        assert_eq!(aclrtSetOpExecuteTimeOutV2(10_000, &raw mut actual), OK);
        let (aicpu, cores) = (hung(null_mut()), hung(null_mut()));
        aclrtSynchronizeStreamWithTimeout(aicpu, limit);
        // The second one has what is left, which may be nothing.
        aclrtSynchronizeStreamWithTimeout(cores, 1);
        let violations = std::mem::take(&mut books().violations);
        assert_eq!(violations.len(), broken, "{limit} ms: {violations:?}");
        aclrtResetDeviceForce(0);
        aclFinalize();
    }
}

#[test]
fn a_planned_failure_comes_once_and_does_nothing() {
    let _turn = open();
    books().plan("rtMalloc", 2, Plan::Fail(4242));
    let first = allocate(8);
    let mut second = null_mut();
    assert_eq!(rtMalloc(&raw mut second, 8, 2, 0), 4242);
    assert!(second.is_null());
    let third = allocate(8);
    assert_ne!(first, third);
    assert_eq!([first, third].map(|address| rtFree(address)), [OK, OK]);
    assert_eq!(close(), Vec::<String>::new());
}
