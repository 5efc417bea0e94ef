//! The counted child's part: the hot paths one after the other, with a mark in front of each.

use anyhow::{Context as _, Result};
use host_runner::arguments::Arguments;
use host_runner::run::RunConfig;
use host_runner::worker::{Worker, WorkerConfig};

use crate::calls::{self, Call, Work};
use crate::programs::Programs;

/// The function before which callgrind begins a new file.
pub(super) const MARK: &str = "benches_mark";

/// The name of sections that only separate others.
pub(super) const UNCOUNTED: &str = "-";

/// The functions that do what is counted, by the ends of their names: the caller's part, and that of AICPU threads.
pub(super) const WORKING: [&str; 2] = ["benches_work", "Engine<C>>::carry_out"];

/// The functions of these that wait for other threads: how often they look depends on the clock.
pub(super) const WAITING: [&str; 1] = ["SimDevice<C>>::attend"];

/// What is between two marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    /// Units of work in it.
    pub(super) per: u64,
    /// Whether only the caller's thread counts.
    pub(super) is_of_caller: bool,
}

impl Section {
    /// Reads what [`begin`] has printed.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, per, whose) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        Some(Self { name: name.to_owned(), per, is_of_caller: whose == "caller" })
    }
}

/// Where callgrind begins a new file.
#[expect(unsafe_code, reason = "callgrind knows it by its name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn benches_mark() {
    std::hint::black_box(());
}

/// Does what is counted.
#[expect(unsafe_code, reason = "callgrind's files are searched for its name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn benches_work(work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    work()
}

/// Begins a section.
fn begin(name: &str, per: u64, whose: &str) {
    println!("{name} {per} {whose}");
    benches_mark();
}

/// Tasks of a run.
const TASKS: u64 = 2_500;

/// Runs of one task, and calls that are enqueued. Of as many, one is measured by the device.
const RUNS: u64 = 32;

/// How often something is counted: with luck, nothing comes between once.
const WINDOWS: u32 = 8;

/// Graphs that are built.
const GRAPHS: u32 = 4;

/// One AICPU thread: more of them would share the work by chance.
fn config() -> RunConfig {
    RunConfig { aicpu_threads: 1, ..calls::config() }
}

/// Does all sections.
///
/// # Errors
///
/// Something does not work.
pub(crate) fn perform() -> Result<()> {
    let programs = Programs::build()?;
    // As above.
    let worker = Worker::open(WorkerConfig::default().with_cores_used(1))?;
    runs(&worker, &programs)?;
    let works = [
        (Work::Independent, "task_independent"),
        (Work::Chain, "task_chain"),
        (Work::ForkJoin, "task_fork_join"),
        (Work::Blocks, "spmd_block"),
    ];
    for (work, name) in works {
        let mut call = Call::bind(&worker, &programs, work, TASKS, &config())?;
        call.run()?;
        for _ in 0..WINDOWS {
            begin(name, TASKS, "all");
            benches_work(&mut || call.run())?;
            begin(UNCOUNTED, 1, "all");
        }
        call.check()?;
    }
    graphs(&worker, &programs)
}

/// Runs of one task, and calls that are enqueued.
fn runs(worker: &Worker, programs: &Programs) -> Result<()> {
    let mut call = Call::bind(worker, programs, Work::One, 1, &config())?;
    for _ in 0..RUNS {
        call.run()?;
    }
    for _ in 0..WINDOWS {
        begin("run", RUNS, "all");
        for _ in 0..RUNS {
            benches_work(&mut || call.run())?;
        }
        begin(UNCOUNTED, 1, "all");
    }
    call.check()?;
    for _ in 0..RUNS {
        call.bound.submit()?.wait()?;
    }
    for _ in 0..WINDOWS {
        begin("enqueue", RUNS, "caller");
        for _ in 0..RUNS {
            let mut completion = None;
            benches_work(&mut || {
                completion = Some(call.bound.submit()?);
                Ok(())
            })?;
            completion.context("a submission")?.wait()?;
        }
        begin(UNCOUNTED, 1, "all");
    }
    Ok(())
}

/// Graphs that are built, and run again.
fn graphs(worker: &Worker, programs: &Programs) -> Result<()> {
    for _ in 0..GRAPHS {
        // A callable that knows no graph yet.
        graph(worker, programs)?;
    }
    Ok(())
}

/// A graph that is built, and run again.
fn graph(worker: &Worker, programs: &Programs) -> Result<()> {
    let handle = worker.register(&programs.graph("independent")?)?;
    let mut cells = vec![0_u64; usize::try_from(TASKS)?];
    let shape = [u32::try_from(TASKS)?];
    let mut arguments = Arguments::new();
    arguments.push_output(&mut cells, &shape)?;
    arguments.push_scalar(0)?;
    arguments.push_scalar(TASKS)?;
    let mut recording = None;
    begin("hbg_task", TASKS, "all");
    benches_work(&mut || {
        recording = Some(worker.record(&handle, &mut arguments, &config())?.0);
        Ok(())
    })?;
    begin(UNCOUNTED, 1, "all");
    let recording = recording.context("a recording")?;
    recording.replay(&mut arguments, &config())?;
    for _ in 0..WINDOWS / GRAPHS {
        begin("hbg_replay", TASKS, "all");
        benches_work(&mut || {
            recording.replay(&mut arguments, &config())?;
            Ok(())
        })?;
        begin(UNCOUNTED, 1, "all");
    }
    drop(arguments);
    let is_right = cells.iter().zip(0..).all(|(&cell, own)| cell == own);
    anyhow::ensure!(is_right, "a graph computes something else");
    Ok(())
}
