//! Callables that are registered, run and unregistered again and again: nothing grows.
//!
//! Alone in its program: other tests beside it would change what the process holds. Five hundred
//! cycles are part of the fast suite; `cargo xtask test cycles` does ten thousand on each chip, in
//! release, and prints a table.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::PathBuf;
use std::time::Instant;

use host_runner::callable::Callable;
use host_runner::device::DeviceUsage;
use host_runner::worker::{PlatformName, Worker};
use protocol::ChipName;
use tests::child;
use tests::prepared::{cells_after, testimony, witness};
use tests::process::{Holdings, leftovers};
use tests::sources;
use tests::workers::open_on;

/// Cycles after which the allocator has grown to what it keeps.
const WARM: usize = 100;

/// What the resident memory may differ by: the allocator's and the kernel's own bookkeeping. A leak
/// of a page in each cycle would be 1.6 MB in the fast suite, and 40 MB in the campaign.
const RESIDENT_SLACK: u64 = 1 << 20;

/// What a cycle registers, by turns: images of one Build-ID, kernels of one func id.
struct Programs {
    good: Vec<(u64, bool, Callable)>,
    bad: Vec<Callable>,
}

impl Programs {
    fn new(chip: ChipName) -> Self {
        let good = [(1, false), (2, false), (1, true)].map(|(number, downwards)| {
            let kernel = if downwards { "fill_down" } else { "fill" };
            (number, downwards, witness(chip, number, kernel))
        });
        let image = || sources::witness_for(chip, 1);
        let builder = |image| Callable::builder(image).name("bad");
        let good_kernels = || sources::cell_kernels_for(chip);
        let throws = sources::orchestration_for(chip, "constructor_throws");
        let mut broken_kernel = good_kernels();
        broken_kernel[1].binary.truncate(200);
        let bad = vec![
            sources::packed(builder(image()).entry("no_such_entry"), good_kernels()),
            sources::packed(builder(image()).entry("first_entry"), broken_kernel),
            sources::packed(builder(throws), good_kernels()),
        ];
        Self { good: good.into(), bad }
    }

    /// Registers, runs and unregisters one; and now and then one that is refused.
    fn cycle(&self, worker: &Worker, number: usize) {
        let (image, downwards, callable) = &self.good[number % self.good.len()];
        let handle = worker.register(callable).unwrap();
        assert_eq!(handle.id().index(), 0, "the id is free again");
        let first = testimony(*image, 1);
        let second = if *downwards { first - 1 } else { first + 1 };
        assert_eq!(cells_after(worker, &handle)[..2], [first, second], "cycle {number}");
        if number % 10 == 5 {
            worker.register(&self.bad[number / 10 % self.bad.len()]).unwrap_err();
        }
        // By turns, as it is asked for and by dropping the last handle.
        if number.is_multiple_of(2) {
            worker.unregister(&handle).unwrap();
        } else {
            drop(handle);
        }
        assert_eq!(worker.usage(), DeviceUsage::default());
    }
}

/// Files that were not there before.
fn new_files(before: &std::collections::BTreeSet<PathBuf>) -> Vec<PathBuf> {
    leftovers().difference(before).cloned().collect()
}

/// Prints what is held, as a row of a table.
fn print_row(platform: PlatformName, cycles: usize, held: &Holdings, files: usize, since: Instant) {
    let Holdings { threads, descriptors, mappings, resident } = held;
    let (kib, seconds) = (resident / 1024, since.elapsed().as_secs_f64());
    let chip = platform.name();
    println!(
        "{chip:<9} {cycles:>6} cycles {seconds:>6.1} s  {threads:>3} threads  {descriptors:>3} \
         descriptors  {mappings:>4} mappings  {kib:>7} KiB resident  {files} files"
    );
}

/// So many cycles on each chip, in this process.
fn cycle_on_both_chips(cycles: usize) {
    for platform in PlatformName::SIMULATORS.iter().copied() {
        let programs = Programs::new(platform.chip());
        let before = leftovers();
        let worker = open_on(platform);
        let start = Instant::now();
        let mut warm = None;
        for number in 0..cycles {
            programs.cycle(&worker, number);
            let done = number + 1;
            if done == WARM || (done > WARM && done.is_multiple_of(cycles / 5)) {
                let held = Holdings::now();
                print_row(platform, done, &held, new_files(&before).len(), start);
                let warm = warm.get_or_insert(held);
                assert_eq!(held.threads, warm.threads);
                assert_eq!(held.descriptors, warm.descriptors);
                assert_eq!(held.mappings, warm.mappings);
                assert!(held.resident <= warm.resident + RESIDENT_SLACK, "{warm:?} {held:?}");
                assert_eq!(new_files(&before), Vec::<PathBuf>::new());
            }
        }
        let report = worker.memory_report();
        let held = report.holders.iter().filter(|it| it.holder != "run arenas");
        assert_eq!(held.map(|it| it.bytes).sum::<usize>(), 0, "{report:?}");
        let counters = worker.counters();
        let registered = cycles as u64;
        assert_eq!((counters.registrations, counters.unregistrations), (registered, registered));
        assert_eq!((counters.aicpu_dlopen_count, counters.runs), (registered, registered));
        drop(worker);
        assert_eq!(new_files(&before), Vec::<PathBuf>::new());
    }
}

/// How many cycles there are on each chip, unless the environment says otherwise.
const CYCLES: usize = 500;

/// What says otherwise.
const VARIABLE: &str = "TESTS_CYCLES";

#[test]
fn callables_that_come_and_go_leave_nothing() {
    let wanted = std::env::var(VARIABLE).map(|value| value.parse().unwrap());
    let cycles = wanted.unwrap_or(CYCLES);
    assert!(cycles >= 2 * WARM, "{VARIABLE} is too small to say anything");
    child::alone("callables_that_come_and_go_leave_nothing", || cycle_on_both_chips(cycles));
}
