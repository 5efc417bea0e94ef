//! `bench run`: one warm run of one trivial task, as its caller sees it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use host_runner::worker::{BoundCall, Worker, WorkerConfig};

use crate::allocations;
use crate::arguments::Schedule;
use crate::calls::{Call, Work, config};
use crate::child::{self, Errand};
use crate::copies::{Caches, Copy};
use crate::handoff::{HandOff, Waiting};
use crate::programs::Programs;
use crate::record::{Findings, Row};
use crate::rounds::{Named, Subject, interleave, timed};
use crate::system_calls::{self, Window};

/// Bytes of the record that a run brings to the device.
const RECORD_BYTES: usize = 3592;

/// Runs of an alternation that are timed together.
const ALTERNATED: u32 = 32;

/// Runs that are counted together.
const COUNTED: u32 = 500;

/// Calls that are enqueued one after the other.
const BURST: usize = 32;

/// Measures runs.
///
/// # Errors
///
/// Something does not work.
pub(crate) fn measure(
    programs: &Programs,
    schedule: &Schedule,
    findings: &mut Findings,
) -> Result<()> {
    let worker = Worker::open(WorkerConfig::default())?;
    let bind = || Call::bind(&worker, programs, Work::One, 1, &config());
    let subjects = vec![
        Named::new("run", bind()?),
        Named::new("enqueue", Enqueue(bind()?.bound)),
        Named::per("enqueue_burst", BURST as u64, Burst(bind()?.bound)),
        Named::new("floor_spinning_round_trip", HandOff::new(Waiting::Spinning)),
        Named::new("floor_wake_up_round_trip", HandOff::new(Waiting::Sleeping)),
        Named::new("floor_copy_of_record_warm", Copy::new(Caches::Warm, RECORD_BYTES)),
        Named::new("floor_copy_of_record_cold", Copy::new(Caches::Cold, RECORD_BYTES)),
    ];
    findings.rows.extend(interleave(subjects, &schedule.short, &schedule.part)?);
    findings.median("run_p50_ns", "run", 1.0);
    findings.ratio("run_vs_handoff", "run", "floor_spinning_round_trip");
    findings.median("enqueue_p50_ns", "enqueue", 1.0);

    let subjects = vec![
        Named::per("run_of_one_id", ALTERNATED.into(), Alternation::new(vec![bind()?])),
        Named::per("run_of_two_ids", ALTERNATED.into(), Alternation::new(vec![bind()?, bind()?])),
    ];
    findings.rows.extend(interleave(subjects, &schedule.short, &schedule.part)?);
    findings.ratio("alternate_ratio", "run_of_two_ids", "run_of_one_id");

    if "run_allocations".contains(&schedule.part) {
        let counts = allocations_of(&mut bind()?, if schedule.quick { 4 } else { 20 })?;
        findings.rows.extend(Row::of("run_allocations", "count", COUNTED.into(), &counts));
        findings.median("run_allocations", "run_allocations", 1.0);
    }
    if "run_system_calls".contains(&schedule.part) {
        system_calls(findings)?;
    }
    Ok(())
}

/// Counts the system calls of windows of runs. Those of the window with the fewest are the figure: in the
/// others a thread was kept from its processor for so long that it went to sleep.
fn system_calls(findings: &mut Findings) -> Result<()> {
    let windows = system_calls::windows(Errand::Steady)?.unwrap_or_default();
    let totals: Vec<f64> =
        windows.iter().map(|window| window.values().sum::<u32>().into()).collect();
    let row = Row::of("run_system_calls", "count", child::WINDOW.into(), &totals);
    findings.measured("run_syscalls", row.as_ref().map(|row| row.min));
    findings.rows.extend(row);
    let numbers: BTreeSet<i64> = windows.iter().flat_map(Window::keys).copied().collect();
    for number in numbers {
        let count = |window: &Window| window.get(&number).copied().unwrap_or_default().into();
        let counts: Vec<f64> = windows.iter().map(count).collect();
        let name = format!("run_system_calls_{}", name_of(number));
        findings.rows.extend(Row::of(&name, "count", child::WINDOW.into(), &counts));
    }
    Ok(())
}

/// What is called by a number, as far as runs use it.
fn name_of(number: i64) -> String {
    match number {
        libc::SYS_futex => "futex".to_owned(),
        libc::SYS_sched_yield => "sched_yield".to_owned(),
        libc::SYS_clock_nanosleep | libc::SYS_nanosleep => "sleep".to_owned(),
        libc::SYS_madvise => "madvise".to_owned(),
        libc::SYS_mmap => "mmap".to_owned(),
        libc::SYS_munmap => "munmap".to_owned(),
        _ => number.to_string(),
    }
}

/// How often the process asks for memory in each of some windows of runs.
fn allocations_of(call: &mut Call, windows: u32) -> Result<Vec<f64>> {
    for _ in 0..COUNTED {
        call.run()?;
    }
    let mut counts = Vec::new();
    for _ in 0..windows {
        let before = allocations::count();
        for _ in 0..COUNTED {
            call.run()?;
        }
        // CAST: a small number.
        counts.push((allocations::count() - before) as f64);
    }
    call.check()?;
    Ok(counts)
}

/// Submits a call, and waits for it while nobody measures.
struct Enqueue(BoundCall);

impl Subject for Enqueue {
    fn operate(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let completion = self.0.submit().context("a submission")?;
        let took = start.elapsed();
        let output = completion.wait()?;
        ensure!(output.report.tasks == 1, "another number of tasks");
        Ok(took)
    }
}

/// Submits some calls, and waits for all of them while nobody measures.
struct Burst(BoundCall);

impl Subject for Burst {
    fn operate(&mut self) -> Result<Duration> {
        let mut completions = Vec::with_capacity(BURST);
        let start = Instant::now();
        for _ in 0..BURST {
            completions.push(self.0.submit().context("a submission")?);
        }
        let took = start.elapsed();
        for completion in completions {
            completion.wait()?;
        }
        Ok(took)
    }
}

/// Calls in turns.
struct Alternation {
    calls: Vec<Call>,
}

impl Alternation {
    fn new(calls: Vec<Call>) -> Self {
        Self { calls }
    }
}

impl Subject for Alternation {
    fn operate(&mut self) -> Result<Duration> {
        timed(|| {
            let count = self.calls.len();
            for run in 0..ALTERNATED as usize {
                self.calls[run % count].run()?;
            }
            Ok(())
        })
    }

    fn verify(&mut self) -> Result<()> {
        self.calls.iter_mut().try_for_each(Call::check)
    }
}
