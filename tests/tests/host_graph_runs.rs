//! Graphs that are run again and again: nothing grows, on the device or in the process.
//!
//! Alone in its program: other tests beside it would change what the process holds. Some hundred
//! thousand tasks are part of the fast suite; `cargo xtask test graph-runs` does ten million on each
//! chip, in release, and prints a table.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::time::Instant;

use host_runner::arguments::OwnedArguments;
use host_runner::device::DeviceUsage;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use tests::child;
use tests::layers::{self, Layers};
use tests::process::Holdings;
use tests::workers::{open_on, threads};

/// Runs on each chip after which allocator and device have what they keep: one of each kind.
const WARM: usize = 3 * KINDS;

/// Kinds of runs, which come by turns.
const KINDS: usize = 4;

/// What the resident memory may differ by: the allocator's and the kernel's own bookkeeping. A leak of
/// an eighth of a word for each task would be 1.2 MB in ten million.
const RESIDENT_SLACK: u64 = 1 << 20;

/// How many runs there are on each chip, and how many tasks each of them has at least, unless the
/// environment says otherwise.
const RUNS: usize = 60;
/// See there.
const TASKS: u64 = 2_000;

/// What says otherwise.
const RUNS_VARIABLE: &str = "TESTS_GRAPH_RUNS";
/// See there.
const TASKS_VARIABLE: &str = "TESTS_GRAPH_TASKS";

/// The runs on one chip.
struct Runs<'w> {
    worker: &'w Worker,
    handle: CallableHandle,
    tasks: u64,
    done: u64,
}

impl Runs<'_> {
    /// One run: a graph as it was, with another salt, of another structure; and now and then one that
    /// fails.
    fn run(&mut self, number: usize) {
        let config = RunConfig { block_dim: 24, ..threads(1 + (number % 4) as u32) };
        let (width, salt) = match number % KINDS {
            0 => (8, 1),
            1 => (8, number as u64),
            2 => (99, 1),
            _ => (8, 1),
        };
        let layers = (self.tasks - 1).div_ceil(width + 1);
        let graph = Layers::new(width, layers, salt);
        let report = graph.run(self.worker, &self.handle, &config).unwrap();
        // Two structures, each of which is uploaded when it comes for the first time.
        let is_new = number == 0 || number == 2;
        assert_eq!(report.graph.unwrap().is_replay, !is_new, "run {number}");
        self.done += report.tasks;
        if number % 10 == 9 {
            self.fail(&config);
        }
    }

    /// A run whose entry returns 1 with half of its graph built, as there are only so many cells.
    fn fail(&self, config: &RunConfig) {
        let mut arguments = OwnedArguments::new();
        arguments.push_inout(&[0_u64; 100], &[100]).unwrap();
        [7, self.tasks, 0, 0].into_iter().for_each(|it| arguments.push_scalar(it).unwrap());
        let failed = self.worker.submit(&self.handle, arguments, config).unwrap().wait();
        assert!(failed.unwrap_err().to_string().contains("returned 1"));
    }
}

/// Prints what is held, as a row of a table.
fn print_row(
    platform: PlatformName,
    runs: &Runs<'_>,
    number: usize,
    held: &Holdings,
    since: Instant,
) {
    let Holdings { threads, descriptors, mappings, resident } = held;
    let DeviceUsage { allocations, bytes, .. } = runs.worker.usage();
    let (kib, device_kib) = (resident / 1024, bytes / 1024);
    let (seconds, tasks) = (since.elapsed().as_secs_f64(), runs.done);
    let chip = platform.name();
    println!(
        "{chip:<9} {number:>5} runs {tasks:>9} tasks {seconds:>6.1} s  {threads:>3} threads  \
         {descriptors:>3} descriptors  {mappings:>4} mappings  {kib:>7} KiB resident  \
         {allocations:>3} allocations  {device_kib:>7} KiB on the device"
    );
}

/// So many runs of so many tasks on each chip, in this process.
fn run_on_both_chips(count: usize, tasks: u64) {
    for platform in PlatformName::SIMULATORS.iter().copied() {
        let worker = open_on(platform);
        let handle = worker.register(&layers::callable_for(platform.chip())).unwrap();
        let mut runs = Runs { worker: &worker, handle, tasks, done: 0 };
        let start = Instant::now();
        let mut warm = None;
        for number in 0..count {
            runs.run(number);
            let done = number + 1;
            if done == WARM || (done > WARM && done.is_multiple_of(count / 5)) {
                let (held, usage) = (Holdings::now(), worker.usage());
                print_row(platform, &runs, done, &held, start);
                let (warm, warm_usage) = warm.get_or_insert((held, usage));
                assert_eq!(held.threads, warm.threads);
                assert_eq!(held.descriptors, warm.descriptors);
                assert!(held.mappings <= warm.mappings, "{warm:?} {held:?}");
                assert!(held.resident <= warm.resident + RESIDENT_SLACK, "{warm:?} {held:?}");
                assert_eq!(usage, *warm_usage);
            }
        }
        assert!(runs.done >= count as u64 * tasks);
        let counters = worker.counters();
        assert_eq!((counters.graph_uploads, counters.host_dlopen_count), (2, 1));
        worker.unregister(&runs.handle).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    }
}

#[test]
fn graphs_that_run_again_and_again_leave_nothing() {
    let wanted = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let count = wanted(RUNS_VARIABLE).map_or(RUNS, |count| usize::try_from(count).unwrap());
    let tasks = wanted(TASKS_VARIABLE).unwrap_or(TASKS);
    assert!(count >= 2 * WARM, "{RUNS_VARIABLE} is too small to say anything");
    child::alone("graphs_that_run_again_and_again_leave_nothing", || {
        run_on_both_chips(count, tasks)
    });
}
