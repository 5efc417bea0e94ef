//! Runs that end before they begin: what the host finds, and that the next one is not affected.

use core::sync::atomic::Ordering;
use std::boxed::Box;
use std::vec::Vec;

use protocol::{
    A2a3, Chip, DeviceAddr, HandshakeRecord, RuntimeRecord, SharedMemoryHeader, StatusCode,
};
use zerocopy::FromZeros;

use super::Executor;
use super::setup::{CleanRegion, RegionIdentity};
use crate::scheduler::Scheduler;
use crate::scheduler::core_table::Payloads;
use crate::sync::CacheAligned;
use crate::testing::TestPlatform;

type Change = fn(&mut protocol::RuntimeBody);
type TestExecutor = Executor<A2a3, TestPlatform>;
type Runtime = <A2a3 as Chip>::Runtime;

fn executor() -> Box<TestExecutor> {
    let mut place = Box::<TestExecutor>::new_zeroed();
    // SAFETY: the box is zeroed memory for one executor.
    unsafe { Executor::init_in_place(place.as_mut_ptr(), TestPlatform::without_cores()) };
    // SAFETY: it has been initialised.
    unsafe { place.assume_init() }
}

/// A reference host's region for a window of 4, with whatever was in that memory before.
struct Garbage(Vec<SharedMemoryHeader>);

impl Garbage {
    fn new() -> Self {
        let bytes = protocol::reference_region_bytes(4).expect("a valid window") as usize;
        let mut headers = Vec::new();
        headers.resize_with(bytes.div_ceil(size_of::<SharedMemoryHeader>()), || {
            let mut header = SharedMemoryHeader::new_zeroed();
            zerocopy::IntoBytes::as_mut_bytes(&mut header).fill(0xA5);
            header
        });
        Self(headers)
    }

    fn runtime(&mut self, change: impl FnOnce(&mut protocol::RuntimeBody)) -> Box<Runtime> {
        let mut runtime = Box::new(Runtime::new_zeroed());
        let body = runtime.body_mut();
        body.sche_cpu_num = 1;
        body.task_window_size = 4;
        body.heap_size = 1024;
        body.gm_sm_ptr = DeviceAddr::new(self.0.as_mut_ptr().expose_provenance() as u64);
        // Never touched: these runs have no task.
        body.gm_heap_ptr = DeviceAddr::new(1 << 40);
        change(body);
        runtime
    }

    /// The error codes of orchestrator and scheduler, as a host reads them.
    fn codes(&mut self) -> [i32; 2] {
        let header = &mut self.0[0];
        [*header.orch_error_code.get_mut(), *header.sched_error_code.get_mut()]
    }
}

/// Item 13 of spec trb §14.1: however early a run fails, the codes in the header are those of the
/// run and not what was there before. And item 10: the executor takes the next run as it comes.
#[test]
fn h8_a_run_that_fails_before_its_orchestration_leaves_its_code_in_the_header() {
    let executor = executor();
    let mut memory = Garbage::new();
    let cases: [(StatusCode, Change); 4] = [
        (StatusCode::TooManyCores, |_| {}),
        (StatusCode::RegionTooSmall, |body| body.task_window_size = 6),
        (StatusCode::RegionTooSmall, |body| body.task_window_size = 1 << 40),
        (StatusCode::RegionTooSmall, |body| body.heap_size = u64::MAX / 2),
    ];
    for round in 0..3 {
        for (code, change) in cases {
            let runtime = memory.runtime(change);
            assert_eq!(executor.execute(&runtime), -code.code(), "round {round}");
            assert_eq!(memory.codes(), [code.code(), 0], "round {round}");
            let fault = executor.take_fault().expect("a fault with its text");
            assert_eq!(fault.code, code.code());
        }
    }
}

/// A run may use the region that an earlier one left clean without saying so: a host without the
/// extension names no region. What it leaves behind must not be taken for clean.
#[test]
fn a_run_that_names_no_region_ends_what_was_known_of_any() {
    let executor = executor();
    let mut memory = Garbage::new();
    let runtime = memory.runtime(|_| {});
    let identity = RegionIdentity { address: 64, wanted: (4, 4), generation: 1 };
    let known = Some(CleanRegion { identity, queue_positions: [0; 3], run: 0 });
    // SAFETY: no run is under way.
    unsafe { (*executor.left_clean.get()).region = known };
    assert_eq!(executor.execute(&runtime), -StatusCode::TooManyCores.code());
    // SAFETY: as above.
    assert!(unsafe { (*executor.left_clean.get()).region.take() }.is_none());
}

/// Cores that stay silent, or that nobody can reach, end the run with their number; so does a
/// number of threads that the chip does not have.
#[test]
fn silent_cores_and_impossible_thread_counts_are_named() {
    let executor = executor();
    let mut memory = Garbage::new();
    let mut check = |code: StatusCode, parts: &[&str], change: fn(&mut Runtime)| {
        let mut runtime = memory.runtime(|body| body.worker_count = 3);
        change(&mut runtime);
        assert_eq!(executor.execute(&runtime), -code.code(), "{parts:?}");
        let text = executor.take_fault().expect("a fault with its text").text;
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    };
    for _ in 0..2 {
        let parts = ["core 0 did not report its id within 10 s"];
        check(StatusCode::HandshakeTimeout, &parts, |_| {});
        let parts = ["core 0 reports physical id 75", "ids below 75"];
        check(StatusCode::HandshakeTimeout, &parts, |runtime| {
            // ORDERING: Relaxed: this is the only thread.
            runtime.workers()[0].physical_core_id().store(75, Ordering::Relaxed);
            runtime.workers()[0].aicore_regs_ready().store(1, Ordering::Relaxed);
        });
        let code = StatusCode::ThreadCountInvalid;
        check(code, &["0 AICPU threads", "1 to 4"], |runtime| runtime.body_mut().sche_cpu_num = 0);
        check(code, &["-1 AICPU threads"], |runtime| runtime.body_mut().sche_cpu_num = -1);
        check(code, &["5 AICPU threads"], |runtime| runtime.body_mut().sche_cpu_num = 5);
        let parts = ["73 cores", "3 to 72"];
        check(StatusCode::TooManyCores, &parts, |runtime| runtime.body_mut().worker_count = 73);
    }
}

/// The same where there is no place for a header: nothing is written, and the error is typed.
#[test]
fn a_region_at_an_impossible_address_is_refused_and_not_touched() {
    let executor = executor();
    let mut memory = Garbage::new();
    for shift in [None, Some(8)] {
        let runtime = memory.runtime(|body| {
            body.gm_sm_ptr = DeviceAddr::new(shift.map_or(0, |shift| body.gm_sm_ptr.raw() + shift));
        });
        assert_eq!(executor.execute(&runtime), -StatusCode::RegionTooSmall.code());
        assert_eq!(memory.codes(), [0xA5A5_A5A5_u32.cast_signed(); 2]);
    }
}

/// Item 14 of spec trb §14.1: the object that each device has one of, and the parts of it that
/// several threads write, are on cache lines of their own, on the heap as anywhere.
#[test]
fn h14_the_executor_and_what_its_threads_share_are_aligned_to_cache_lines() {
    let executor = executor();
    let address = core::ptr::from_ref(&*executor).addr();
    assert!(align_of::<TestExecutor>() >= 128 && address.is_multiple_of(128));
    assert!(core::ptr::from_ref(&executor.payloads).addr().is_multiple_of(64));
    assert!(align_of::<Payloads>() >= 64 && align_of::<Scheduler>() >= 128);
    assert!(size_of::<CacheAligned<u64>>().is_multiple_of(128), "neighbours share no line");
}
