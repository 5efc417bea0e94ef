//! The counted child's part: the hot paths one after the other, with a mark in front of each.

use anyhow::{Context as _, Result};
use host_runner::arguments::Arguments;
use host_runner::run::RunConfig;
use host_runner::worker::{RunCompletion, SubmitError, Worker, WorkerConfig};

use crate::calls::{self, Call, Work};
use crate::programs::Programs;

/// The function before which callgrind begins a new file.
pub(super) const MARK: &str = "benches_mark";

/// The name of sections that only separate others.
pub(super) const UNCOUNTED: &str = "-";

/// The function whose calls are an enqueueing, as its caller sees it.
pub(super) const ENQUEUE: &str = "benches_enqueue";

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

/// Enqueues a call.
#[expect(unsafe_code, reason = "callgrind's files are searched for its name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn benches_enqueue(call: &Call) -> Result<RunCompletion, SubmitError> {
    call.bound.submit()
}

/// Begins a section.
fn begin(name: &str, per: u64, whose: &str) {
    println!("{name} {per} {whose}");
    benches_mark();
}

/// Tasks of a run.
const TASKS: u64 = 10_000;

/// Runs of one task, and calls that are enqueued.
const RUNS: u64 = 100;

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
    let worker = Worker::open(WorkerConfig::default())?;
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
        begin(name, TASKS, "all");
        call.run()?;
        begin(UNCOUNTED, 1, "all");
        call.check()?;
    }
    graphs(&worker, &programs)
}

/// Runs of one task, and calls that are enqueued.
fn runs(worker: &Worker, programs: &Programs) -> Result<()> {
    let mut call = Call::bind(worker, programs, Work::One, 1, &config())?;
    let warm_up = RUNS / 4;
    for _ in 0..warm_up {
        call.run()?;
    }
    begin("run", RUNS, "all");
    for _ in 0..RUNS {
        call.run()?;
    }
    begin(UNCOUNTED, 1, "all");
    call.check()?;
    for number in 0..warm_up + RUNS {
        if number == warm_up {
            begin("enqueue", RUNS, "caller");
        }
        benches_enqueue(&call).context("a submission")?.wait()?;
    }
    begin(UNCOUNTED, 1, "all");
    Ok(())
}

/// A graph that is built, and run again.
fn graphs(worker: &Worker, programs: &Programs) -> Result<()> {
    let handle = worker.register(&programs.graph("independent")?)?;
    let mut cells = vec![0_u64; usize::try_from(TASKS)?];
    let shape = [u32::try_from(TASKS)?];
    let mut arguments = Arguments::new();
    arguments.push_output(&mut cells, &shape)?;
    arguments.push_scalar(0)?;
    arguments.push_scalar(TASKS)?;
    begin("hbg_task", TASKS, "all");
    let (recording, _) = worker.record(&handle, &mut arguments, &config())?;
    begin(UNCOUNTED, 1, "all");
    recording.replay(&mut arguments, &config())?;
    begin("hbg_replay", TASKS, "all");
    recording.replay(&mut arguments, &config())?;
    begin(UNCOUNTED, 1, "all");
    drop(arguments);
    let is_right = cells.iter().zip(0..).all(|(&cell, own)| cell == own);
    anyhow::ensure!(is_right, "a graph computes something else");
    Ok(())
}
