//! The C functions run a callable, and submit it and wait, without allocating anything.
//!
//! Alone in its program: it counts what the whole process allocates. So the functions are linked here; a library
//! that is opened has an allocator of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::ffi::c_void;
use std::ptr;

use host_runtime::c_functions::callables::{self, Diagnostics};
use host_runtime::c_functions::{device, submissions};
use host_runtime::context::LaunchSize;
use host_runtime::variant::{PlatformName, RuntimeName, Variant};
use protocol::{ChipStorageTaskArgs, DataType};
use tests::allocations::Counting;
use tests::c_library::{arguments, tensor};
use tests::sources;

#[global_allocator]
static ALLOCATIONS: Counting = Counting::new();

const LAUNCH: LaunchSize = LaunchSize { block_dim: 3, aicpu_threads: 4, device_id: 0 };
const QUIET: Diagnostics =
    Diagnostics { l2_swimlane: 0, dump_tensor: 0, pmu: 0, output_prefix: ptr::null() };

/// Runs and waits.
fn run(context: *mut c_void, record: &ChipStorageTaskArgs) {
    let mut place = 0_u64;
    // SAFETY: the test's own memory, which nobody else uses.
    let end = unsafe {
        let place = (&raw mut place).cast();
        callables::run(context, place, 0, ptr::from_ref(record).cast(), LAUNCH, QUIET)
    };
    assert_eq!(end, 0);
}

/// Submits, waits, and frees.
fn submit(context: *mut c_void, record: &ChipStorageTaskArgs) {
    // SAFETY: (both) as in `run`.
    let run = unsafe { submissions::submit(context, 0, ptr::from_ref(record).cast(), LAUNCH) };
    assert!(!run.is_null());
    // SAFETY: as above.
    assert_eq!(unsafe { submissions::wait(run, u64::MAX) }, 0);
    submissions::free(run);
}

#[test]
fn runs_and_submissions_allocate_nothing_once_there_was_one() {
    let (platform, runtime) = (PlatformName::A2a3Sim, RuntimeName::Trb);
    let context = device::create(Variant { platform, runtime });
    assert_eq!(device::init(context, 0, 0, 0), 0);
    let builder = sources::orchestration("c_library");
    let builder =
        host_runner::callable::Callable::builder(builder).entry("writes_all_and_may_fail");
    let callable = sources::packed(builder, sources::cell_kernels());
    // SAFETY: the blob stays where it is.
    assert_eq!(unsafe { callables::prepare(context, 0, callable.blob().as_ptr().cast()) }, 0);
    let mut cells = [0_u64; 3];
    for act in [run, submit] {
        let mut before = 0;
        for number in 0..300 {
            if number == 50 {
                before = ALLOCATIONS.count();
            }
            cells.fill(number);
            act(context, &arguments(&[tensor(DataType::Uint64, &mut cells)], &[0]));
            assert_eq!(cells, [1000, 1001, 1002]);
        }
        assert_eq!(ALLOCATIONS.count() - before, 0, "in 250 runs");
    }
    device::destroy(context);
}
