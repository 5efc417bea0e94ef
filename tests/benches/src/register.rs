//! `bench register`: an orchestration of 400 KB with its kernel, loaded on the device and ready to run.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use host_runner::arguments::OwnedArguments;
use host_runner::callable::Callable;
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};

use crate::arguments::Schedule;
use crate::calls::config;
use crate::copies::{Caches, Copy};
use crate::programs::Programs;
use crate::record::Findings;
use crate::rounds::{Named, Subject, interleave};

/// Measures registrations.
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
    let bytes = programs.large(0)?.blob().len();
    let copy = |name, caches| Named::new(name, Copy::new(caches, bytes));
    let subjects = vec![
        Named::new("register_new", New { worker: &worker, programs, number: 0 }),
        Named::new("register_same", Same::new(&worker, programs)?),
        copy("floor_copy_of_callable_warm", Caches::Warm),
        copy("floor_copy_of_callable_cold", Caches::Cold),
        copy("floor_copy_of_callable_to_new_pages", Caches::ColdToNewPages),
    ];
    findings.rows.extend(interleave(subjects, &schedule.short, &schedule.part)?);
    findings.median("register_new_ns", "register_new", 1.0);
    findings.ratio("register_vs_copy", "register_new", "floor_copy_of_callable_to_new_pages");
    findings.median("register_same_ns", "register_same", 1.0);
    Ok(())
}

/// Registers bytes that the worker has never seen.
struct New<'w> {
    worker: &'w Worker,
    programs: &'w Programs,
    number: u64,
}

impl Subject for New<'_> {
    fn operate(&mut self) -> Result<Duration> {
        self.number += 1;
        let callable = self.programs.large(self.number)?;
        let start = Instant::now();
        let handle = self.worker.register(&callable)?;
        let took = start.elapsed();
        check(self.worker, &handle, self.number)?;
        self.worker.unregister(&handle)?;
        Ok(took)
    }
}

/// Registers bytes that are registered.
struct Same<'w> {
    worker: &'w Worker,
    callable: Callable,
    /// What keeps them registered.
    first: CallableHandle,
}

/// The number of its image, which no other has.
const SAME: u64 = 1 << 40;

impl<'w> Same<'w> {
    fn new(worker: &'w Worker, programs: &Programs) -> Result<Self> {
        let callable = programs.large(SAME)?;
        let first = worker.register(&callable)?;
        Ok(Self { worker, callable, first })
    }
}

impl Subject for Same<'_> {
    fn operate(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let handle = self.worker.register(&self.callable)?;
        let took = start.elapsed();
        check(self.worker, &handle, SAME)?;
        self.worker.unregister(&handle)?;
        Ok(took)
    }

    fn verify(&mut self) -> Result<()> {
        check(self.worker, &self.first, SAME)
    }
}

/// Runs a callable and looks whether it is the one of this number.
fn check(worker: &Worker, handle: &CallableHandle, number: u64) -> Result<()> {
    let mut arguments = OwnedArguments::new();
    arguments.push_input(&[100_u64], &[1])?;
    arguments.push_output::<u64>(&[1])?;
    arguments.push_scalar(5)?;
    let mut call = worker.bind(handle, arguments, &config())?;
    call.run()?;
    let told = call.arguments().elements::<u64>(1).context("an output on the host")?;
    ensure!(told == [300 + 5 + 2 * number], "image {number} tells {told:?}");
    Ok(())
}
