//! `bench tasks`: many tasks in one run, all of the run included.

use anyhow::Result;
use host_runner::worker::{Worker, WorkerConfig};

use crate::arguments::Schedule;
use crate::calls::{Call, Work, config};
use crate::copies::{Caches, Copy};
use crate::kernel_loop::{KernelLoop, Kind};
use crate::plot;
use crate::programs::Programs;
use crate::record::Findings;
use crate::rounds::{Named, Pace, interleave};

/// Tasks of the figures.
const MANY: u64 = 100_000;

/// Tasks of a small run.
const FEW: u64 = 1_000;

/// Blocks of a task.
const BLOCKS: u64 = 10_000;

/// Tasks of the table that shows how cost grows.
const GROWTH: &[u64] = &[1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];

/// Measures tasks.
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
    let subject = |work: Work, count: u64| -> Result<Named<'static>> {
        let call = Call::bind(&worker, programs, work, count, &config())?;
        Ok(Named::per(name(work, count), count, call))
    };
    let combine = programs.task_kernel("combine")?;
    let mark = programs.task_kernel("mark")?;
    let plain = |name: &str, kind, image, calls| -> Result<Named<'static>> {
        Ok(Named::per(name, calls, KernelLoop::new(kind, image, calls)?))
    };
    // CAST: what the tensors of the independent tasks have.
    let bytes = (3 * 8 * MANY) as usize;
    let subjects = vec![
        subject(Work::Independent, MANY)?,
        subject(Work::Chain, MANY)?,
        subject(Work::ForkJoin, MANY)?,
        subject(Work::Blocks, BLOCKS)?,
        subject(Work::Independent, FEW)?,
        subject(Work::IndependentExisting, MANY)?,
        plain("floor_kernel_loop", Kind::Combine, combine, MANY)?,
        plain("floor_block_loop", Kind::Mark, mark, BLOCKS)?,
        Named::per("floor_copy_of_tensors_warm", MANY, Copy::new(Caches::Warm, bytes)),
        Named::per("floor_copy_of_tensors_cold", MANY, Copy::new(Caches::Cold, bytes)),
    ];
    findings.rows.extend(interleave(subjects, &schedule.long, &schedule.part)?);
    findings.median("task_independent_ns", &name(Work::Independent, MANY), 1.0);
    findings.median("task_chain_ns", &name(Work::Chain, MANY), 1.0);
    findings.median("task_forkjoin_ns", &name(Work::ForkJoin, MANY), 1.0);
    findings.median("spmd_block_ns", &name(Work::Blocks, BLOCKS), 1.0);
    // CAST: a small number.
    findings.median("thousand_tasks_ns", &name(Work::Independent, FEW), FEW as f64);

    let most = if schedule.quick { 30_000 } else { 1_000_000 };
    let mut subjects = Vec::new();
    for work in [Work::Independent, Work::Chain, Work::ForkJoin] {
        for &count in GROWTH.iter().filter(|&&count| count <= most) {
            let call = Call::bind(&worker, programs, work, count, &config())?;
            subjects.push(Named::per(
                format!("{}{}", plot::GROWTH, name(work, count)),
                count,
                call,
            ));
        }
    }
    // The largest take long, and are warm after the smaller ones.
    let pace = Pace { rounds: schedule.long.rounds.min(3), warm_up: 0, ..schedule.long };
    findings.rows.extend(interleave(subjects, &pace, &schedule.part)?);
    Ok(())
}

/// The row of some work.
fn name(work: Work, count: u64) -> String {
    format!("{}_{count}", work.entry())
}
