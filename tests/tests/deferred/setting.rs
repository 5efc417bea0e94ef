//! Counters, workers and runs of the tests of deferred completion.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use host_runner::callable::Callable;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::{CompletionType, CoreType, StatusCode};
use tests::sources;
use tests::workers::{
    AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, open_on, threads,
};

/// A counter in a cache line of its own, as the orchestrations expect them.
#[repr(align(64))]
#[derive(Default)]
pub(crate) struct Counter(pub(crate) AtomicU32);

pub(crate) const STRIDE: u64 = size_of::<Counter>() as u64;

/// Counters that live for ever, since a device may look at them at any time.
pub(crate) fn counters(count: usize) -> &'static [Counter] {
    Box::leak((0..count).map(|_| Counter::default()).collect())
}

pub(crate) fn address(counters: &[Counter]) -> u64 {
    counters.as_ptr().expose_provenance() as u64
}

/// The chips, each with numbers of AICPU threads that it may have.
pub(crate) const PLATFORMS: [(PlatformName, &[u32]); 2] =
    [(PlatformName::A2a3Sim, &AICPU_THREADS), (PlatformName::A5Sim, &[1, 3, 7])];

/// A worker with one entry of `deferred.cpp`.
pub(crate) fn with_entry(platform: PlatformName, entry: &str) -> (Worker, CallableHandle) {
    let kernel =
        |id, core_type, name: &&str| sources::kernel_for(platform.chip(), id, core_type, name);
    let vector = ["await_counters", "observe", "notify", "send", "receive", "defer_wrongly"];
    let vector = vector.iter().zip(4..).map(|(name, id)| kernel(id, CoreType::Aiv, name));
    let mut kernels = sources::cell_kernels();
    kernels.extend(vector);
    kernels.push(kernel(10, CoreType::Aic, &"await_counters"));
    let image = sources::orchestration_for(platform.chip(), "deferred");
    let callable = sources::packed(Callable::builder(image).name(entry).entry(entry), kernels);
    let worker = open_on(platform);
    let handle = worker.register(&callable).unwrap();
    (worker, handle)
}

/// Calls `check` with such a worker on each chip and each number of AICPU threads.
pub(crate) fn on_every_chip(entry: &str, check: impl Fn(&(Worker, CallableHandle), u32)) {
    for (platform, thread_counts) in PLATFORMS {
        let with = with_entry(platform, entry);
        for aicpu_threads in thread_counts {
            check(&with, *aicpu_threads);
        }
    }
}

/// Settings under which a wait that nobody ends takes less than half a second.
pub(crate) fn short(aicpu_threads: u32) -> RunConfig {
    RunConfig { stall_timeout: Duration::from_millis(400), ..threads(aicpu_threads) }
}

/// Runs with `cells` cells and these scalars; gives the cells back.
pub(crate) fn run(
    worker: &Worker,
    handle: &CallableHandle,
    cells: usize,
    scalars: &[u64],
    config: &RunConfig,
) -> Result<Vec<u64>, RunError> {
    let (cells, scalars) = (vec![SENTINEL; cells], scalars.to_vec());
    let mut passed = Cells { cells, scalars, ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells)
}

/// As `run`, for a run that must fail.
#[track_caller]
pub(crate) fn fails(
    (worker, handle): &(Worker, CallableHandle),
    scalars: &[u64],
    config: &RunConfig,
    code: StatusCode,
    parts: &[&str],
) {
    let mut passed = Cells { cells: vec![SENTINEL], scalars: scalars.to_vec(), ..Cells::default() };
    assert_fault(passed.run(worker, handle, config), code, parts);
    assert_works(worker, &threads(config.aicpu_threads));
}

/// Scalars of `waits`: `conditions` counters for each of `blocks` blocks.
pub(crate) fn waiting(
    counters: &[Counter],
    expected: u64,
    conditions: u64,
    blocks: u64,
) -> [u64; 6] {
    let counter = CompletionType::Counter as u64;
    [address(counters), STRIDE, expected, conditions, counter, blocks]
}

/// Blocks of 64 conditions each, for which all threads together have no room.
pub(crate) fn flood(aicpu_threads: u32) -> u64 {
    64 * u64::from((aicpu_threads - 1).max(1)) + 28
}
