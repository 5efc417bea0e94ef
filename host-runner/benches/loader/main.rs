//! `cargo xtask bench loader`: what a load costs, by this project's loader and by others.
//!
//! Question it answers: how far is the loader from `dlopen`, from the way through a staged file,
//! and from the floors under both? Only the ratios of one run are comparable; the machine decides
//! the rest.
//!
//! ```text
//!  fixture ─▶ methods ─▶ verify answers ─▶ rounds, in turns ─▶ rows ─┐
//!                │                        sibling: p90 beside a spinning thread ─┤
//!                └─▶ system_calls: counted in a traced child ───────────────┴─▶ record ─▶ table, JSON
//! ```
//!
//! A wrong answer of a loaded function fails the command, a missed target does not. The keys of the
//! JSON file are documented in `record`.
//!
//! Left out: the first load of a process, whose libraries are not resident; other machines' page
//! sizes; anything about a device.

#![deny(unsafe_code)]

mod arguments;
mod fixture;
#[expect(unsafe_code, reason = "maps memory for the floors")]
mod mapping;
mod method;
#[expect(unsafe_code, reason = "one call of the C library that takes numbers")]
mod processor;
mod record;
mod rounds;
mod sibling;
mod statistics;
#[expect(unsafe_code, reason = "forks and traces")]
mod system_calls;
mod table;
mod targets;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use arguments::Arguments;
use fixture::Fixtures;
use method::AnyMethod;
use processor::Processors;
use record::{Image, Record, Row, Setting, SystemCalls};
use rounds::{Series, interleave};
use system_calls::Repetitions;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).and_then(|record| publish(&arguments, &record)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything.
fn measure(arguments: &Arguments) -> Result<Record> {
    let schedule = arguments.schedule();
    eprintln!("compiling the images");
    // Before the bench binds itself to one processor.
    let fixtures = Fixtures::build()?;
    let raised = processor::raise_priority();
    let processors = Processors::pin();
    let mut small = method::small(&fixtures)?;
    let mut big = method::big(&fixtures)?;
    let mut pairs = method::siblings(&fixtures)?;
    eprintln!("comparing the answers of all loaders");
    verify(&mut small, schedule.small_verified)?;
    verify(&mut big, schedule.big_verified)?;
    eprintln!("timing");
    let mut series = interleave(&mut small, &schedule.small)?;
    series.extend(interleave(&mut big, &schedule.big)?);
    series.extend(sibling::compare(&mut pairs, &processors, &schedule.sibling)?);
    eprintln!("counting system calls");
    let mut system_calls = count(method::small, &fixtures, schedule.small_counted)?;
    system_calls.extend(count(method::big, &fixtures, schedule.big_counted)?);
    let row = |series: &Series| Row::of(series.method, series.image, &series.nanoseconds);
    let rows: Vec<Row> = series.iter().filter_map(row).collect();
    let targets = targets::measure(&rows, &system_calls);
    Ok(Record {
        bench: "loader",
        quick: arguments.quick,
        setting: Setting { pinned: processors.pinned, raised, files_in_memory: fixtures.in_memory },
        images: images(&fixtures),
        rows,
        system_calls,
        targets,
    })
}

/// Compares what all methods load.
fn verify(methods: &mut [AnyMethod<'_>], loads: u32) -> Result<()> {
    methods.iter_mut().try_for_each(|method| method::verify(method.as_mut(), loads))
}

/// Makes a list of methods.
type MakeMethods = for<'f> fn(&'f Fixtures) -> Result<Vec<AnyMethod<'f>>>;

/// Counts the system calls of all methods; those that cannot be counted have no entry.
fn count(make: MakeMethods, fixtures: &Fixtures, loads: Repetitions) -> Result<Vec<SystemCalls>> {
    let mut all = Vec::new();
    let keys: Vec<_> = make(fixtures)?.iter().map(|each| (each.name(), each.image())).collect();
    for (index, (method, image)) in keys.into_iter().enumerate() {
        // Made in the process that is counted: slots are not inherited.
        let mut made = None;
        let mut load = || {
            let methods = made.get_or_insert_with(|| make(fixtures).unwrap_or_default());
            methods.get_mut(index).is_some_and(|method| method.load(&mut |_| ()).is_ok())
        };
        let per_load = system_calls::count(&mut load, loads);
        let per_load = per_load.with_context(|| format!("`{method}` of image `{image}`"))?;
        all.extend(per_load.map(|per_load| SystemCalls { method, image, per_load }));
    }
    Ok(all)
}

fn images(fixtures: &Fixtures) -> Vec<Image> {
    let image = |fixture: &fixture::Fixture| Image {
        image: fixture.image,
        file_bytes: fixture.facts.file_bytes,
        span_bytes: fixture.facts.span,
        relative: fixture.facts.relative,
        symbolic: fixture.facts.symbolic,
        imports: fixture.facts.imports,
        exports: fixture.facts.exports,
    };
    fixtures.all().map(image).collect()
}

/// Prints the tables and writes the file.
fn publish(arguments: &Arguments, record: &Record) -> Result<()> {
    print!("{}", table::render(record));
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(record).context("cannot make the JSON text")?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
