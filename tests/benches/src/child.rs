//! What this program does as a child of itself: measurements that want a process of their own.
//!
//! A child prints its figures, one `name value` a line.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_runner::worker::{Worker, WorkerConfig};

use crate::calls::{Call, Work, config};
use crate::instructions::sections;
use crate::process;
use crate::programs::Programs;

/// Runs before anything is measured.
const WARM_UP: u32 = 50;

/// Tasks of the runs whose memory is measured.
pub(crate) const BUSY_TASKS: u64 = 100_000;

/// How long after a run a worker may be busy.
const SETTLING: Duration = Duration::from_millis(10);

/// How long idleness is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// Runs that are counted together.
pub(crate) const WINDOW: u32 = 200;

/// Windows.
const WINDOWS: u32 = 25;

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Errand {
    /// Nothing, for the time it takes to be idle.
    Idle,
    /// Many tasks that depend on nothing.
    BusyIndependent,
    /// Many tasks in a row.
    BusyChain,
    /// Many tasks 1-8-1.
    BusyForkJoin,
    /// Windows of runs, with a mark in front of each and at the end.
    Steady,
    /// The hot paths one after the other, for callgrind.
    Sections,
}

impl Errand {
    /// How it is named on the command line.
    fn name(self) -> String {
        use clap::ValueEnum as _;
        self.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
    }

    /// This program, to be started for the errand.
    ///
    /// # Errors
    ///
    /// It has no path.
    pub(crate) fn command(self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("no path of this program")?);
        command.args(["run", "--errand", &self.name()]);
        Ok(command)
    }

    /// Has a child do it, and returns its figures.
    ///
    /// # Errors
    ///
    /// It fails.
    pub(crate) fn perform(self) -> Result<Vec<(String, f64)>> {
        let output = self.command()?.stderr(std::process::Stdio::inherit()).output();
        let output = output.context("cannot start a child")?;
        ensure!(output.status.success(), "a child ended with {}", output.status);
        let text = String::from_utf8(output.stdout).context("a child prints no UTF-8")?;
        let figure = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter_map(figure).collect())
    }

    /// The child's part.
    ///
    /// # Errors
    ///
    /// Something does not work.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Idle => idle(),
            Self::BusyIndependent => busy(Work::Independent, 3 * 8 * BUSY_TASKS),
            Self::BusyChain => busy(Work::Chain, 2 * 8),
            Self::BusyForkJoin => busy(Work::ForkJoin, 8),
            Self::Steady => steady(),
            Self::Sections => sections::perform(),
        }
    }
}

/// Opens a worker, runs a little, and does nothing.
fn idle() -> Result<()> {
    let programs = Programs::build()?;
    let before = process::resident_bytes()?;
    let worker = Worker::open(WorkerConfig::default())?;
    let mut call = Call::bind(&worker, &programs, Work::One, 1, &config())?;
    for _ in 0..WARM_UP {
        call.run()?;
    }
    std::thread::sleep(SETTLING);
    let processor = process::processor_time()?;
    std::thread::sleep(WATCHED);
    let busy = process::processor_time()? - processor;
    println!("idle_rss_bytes {}", process::resident_bytes()?.saturating_sub(before));
    println!("idle_cpu_percent {}", busy.as_secs_f64() / WATCHED.as_secs_f64() * 100.0);
    call.check()
}

/// Runs many tasks whose tensors have these bytes on the device; those on the host were there before.
fn busy(work: Work, tensor_bytes: u64) -> Result<()> {
    let programs = Programs::build()?;
    let arguments = work.arguments(BUSY_TASKS)?;
    let before = process::resident_bytes()?;
    let worker = Worker::open(WorkerConfig::default())?;
    let mut call = Call::with(&worker, &programs, work, (BUSY_TASKS, arguments), &config())?;
    process::reset_peak()?;
    for _ in 0..3 {
        call.run()?;
    }
    let peak = process::peak_bytes()?.saturating_sub(before + tensor_bytes);
    println!("busy_rss_bytes {peak}");
    call.check()
}

/// Runs again and again, with marks for whoever traces this process.
fn steady() -> Result<()> {
    let programs = Programs::build()?;
    let worker = Worker::open(WorkerConfig::default())?;
    let mut call = Call::bind(&worker, &programs, Work::One, 1, &config())?;
    for _ in 0..WARM_UP {
        call.run()?;
    }
    for _ in 0..WINDOWS {
        process::mark();
        for _ in 0..WINDOW {
            call.run()?;
        }
    }
    process::mark();
    call.check()
}
