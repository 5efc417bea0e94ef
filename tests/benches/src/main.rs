//! `cargo xtask bench {run,tasks,register,graph,memory,instructions,all}`: what the runtime costs.
//!
//! Question it answers: how far are runs and tasks from what the machine can do at best? Floors
//! are measured in the same run, in turns with what stands on them, so that their ratio survives a
//! noisy machine.
//!
//! ```text
//!  programs/*.cpp ─▶ callables ─▶ a worker: bound calls ─┐
//!                             floors: hand-off, copies, kernels in a loop ─▶ rounds, in turns ─▶ rows
//!                                                       rows ─▶ targets ─▶ tables, JSON, comparison
//! ```
//!
//! A wrong result fails the command, a missed target does not. The keys of the JSON file are
//! documented in `record`.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "an allocator that counts")]
mod allocations;
mod arguments;
mod calls;
mod child;
#[expect(unsafe_code, reason = "takes bytes out of the caches, and maps memory")]
mod copies;
mod graphs;
mod handoff;
mod instructions;
#[expect(unsafe_code, reason = "calls kernels")]
mod kernel_loop;
mod memory;
mod plot;
#[expect(unsafe_code, reason = "asks the system for numbers")]
mod process;
mod programs;
mod record;
mod register;
mod rounds;
mod run;
mod statistics;
#[expect(unsafe_code, reason = "traces a child")]
mod system_calls;
mod table;
mod targets;
mod tasks;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};

use arguments::{Arguments, Bench, Schedule};
use programs::Programs;
use record::{Findings, Record, Setting};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    match perform(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints and writes.
fn perform(arguments: &Arguments) -> Result<()> {
    if let Some(errand) = arguments.errand {
        return errand.run();
    }
    // Before anything is measured, so that a wrong path costs nothing.
    let earlier = arguments.compare.as_deref().map(Record::load).transpose()?;
    let mut verdict = Ok(());
    let record = match &arguments.from {
        Some(path) => Record::load(path)?,
        None => measure(arguments, &mut verdict)?,
    };
    if let Some(path) = &arguments.plot {
        plot::save(&record.rows, path)?;
    }
    println!("{}", table::render(&record, earlier.as_ref()));
    arguments.json.as_deref().map_or(Ok(()), |path| record.save(path))?;
    verdict
}

/// Measures what is asked for. The verdict is about limits that fail the command, behind the table.
fn measure(arguments: &Arguments, verdict: &mut Result<()>) -> Result<Record> {
    let programs = Programs::build()?;
    let schedule = Schedule::new(arguments.quick, &arguments.rows);
    let mut findings = Findings::default();
    let wanted = |bench| [bench, Bench::All].contains(&arguments.bench);
    if wanted(Bench::Run) {
        run::measure(&programs, &schedule, &mut findings)?;
    }
    if wanted(Bench::Tasks) {
        tasks::measure(&programs, &schedule, &mut findings)?;
    }
    if wanted(Bench::Register) {
        register::measure(&programs, &schedule, &mut findings)?;
    }
    if wanted(Bench::Graph) {
        graphs::measure(&programs, &schedule, &mut findings)?;
    }
    if wanted(Bench::Memory) {
        memory::measure(schedule.quick, &mut findings)?;
    }
    if arguments.bench == Bench::Instructions {
        *verdict = instructions::measure(arguments.renew, &mut findings);
    }
    let name = arguments.bench.to_possible_value();
    Ok(Record {
        bench: name.map(|name| name.get_name().to_owned()).unwrap_or_default(),
        quick: arguments.quick,
        setting: Setting {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            block_dim: calls::BLOCK_DIM,
            aicpu_threads: calls::AICPU_THREADS,
        },
        targets: targets::list(&findings),
        rows: findings.rows,
    })
}
