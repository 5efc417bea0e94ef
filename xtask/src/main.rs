//! Project commands, as `cargo xtask …`: the tests, the checks that CI runs, the AICPU image.
//!
//! CI runs these commands and nothing else, so whatever it finds is found the same way by hand.
//!
//! | command | what |
//! |---|---|
//! | `test [SUITE…]` | the fast suite, or parts of it; ends with `N passed, N failed` |
//! | `test scenes` | whole programs on the simulators of both chips, as a table that ends the same |
//! | `test cycles` | ten thousand registrations, runs and unregistrations on each chip |
//! | `test graph-runs` | ten million tasks of host-built graphs on each chip, in a hundred runs |
//! | `test seeds` | the small ones of them under 200 seeds of the interleaving |
//! | `ci [CHECK…]` | every check, or some; all run, then the failed ones are listed |
//! | `tidy` | the house rules that no compiler checks |
//! | `mutants` | a million broken images through the loader, and what became of them |
//! | `fuzz TARGET` | a fuzz target for a while; its seeds are built first |
//! | `asan` | the loader's tests with the address sanitizer |
//! | `bench NAME` | what something costs, in release; a table, and JSON if asked for |
//! | `dist` | the C libraries of all variants with their headers, in release |
//! | `build-device` | the program of devices in processes of their own, for this machine or another |
//! | `build-aicpu` | the shared objects for the AICPU, for this machine and for aarch64 |
//! | `build-stand-in` | the daemon that loads them in tests |

mod bench;
mod check;
mod cross;
mod device_program;
mod dist;
mod examples;
mod firmware;
mod instrumented;
mod mock_cann;
mod mutants;
mod process;
mod readme;
mod scenes;
mod stand_in;
mod test_suite;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The exit code where this machine lacks what a command needs.
const NOT_HERE: u8 = 3;

/// Project commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the fast suite, or only the suites named.
    ///
    /// Suites: unit, layout, tests, doc, firmware, cycles and graph-runs (in release), or the name of a file in tests/tests; or seeds or scenes,
    /// alone: whole programs on the simulators of both chips, in release, as a table.
    Test {
        /// Suites to run; none means all but scenes and seeds.
        suites: Vec<String>,
        /// Passed on to scenes, such as `-- --chip a5`; for seeds with their number first.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Runs every check, or only those named; all of them run, whatever fails.
    ///
    /// Checks: fmt, clippy, docs, no-std, toolchain, firmware, loom, tidy, test, fuzz, asan,
    /// scenes, process, seeds, examples, dist, readme, bench, instructions, deny.
    Ci {
        /// Checks to run; none means all.
        checks: Vec<String>,
    },
    /// Checks the house rules that no compiler checks.
    Tidy,
    /// Puts broken images through the loader by the million, in release builds.
    Mutants {
        /// Mutants of each lane: in checked memory, in real pages, and of unwind tables.
        #[arg(long, default_value_t = 1_000_000)]
        count: u64,
        /// First seed; a seed names a mutant for ever.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Loads, and refusals, that may leave nothing behind.
        #[arg(long, default_value_t = 100_000)]
        cycles: u64,
    },
    /// Runs a fuzz target: plan, plan_patches, callable_blob, args_blob, call_config, build_id,
    /// graph_image, or all of them.
    Fuzz {
        /// Target to run.
        target: String,
        /// How long, for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Runs the tests of the loader and of its memory with the address sanitizer.
    Asan,
    /// Runs a bench in release and prints its tables.
    ///
    /// Benches: run, tasks, register, graph, memory, or all of these; loader; instructions.
    Bench {
        /// The bench to run.
        name: String,
        /// Writes the figures to FILE as well, as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Prints the change against the FILE of an earlier run; not for loader.
        #[arg(long, value_name = "FILE")]
        compare: Option<PathBuf>,
        /// Takes a few seconds, for coarse figures.
        #[arg(long)]
        quick: bool,
        /// Passed on to the bench, such as `-- --help`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Builds the C libraries of all variants in release and puts them into a folder, with headers:
    /// {a2a3,a5}/sim/{trb,hbg}/libhost_runtime.so, lib, include.
    Dist {
        /// The folder.
        #[arg(long, value_name = "DIR", default_value = "dist")]
        out: PathBuf,
    },
    /// Builds and links the shared objects for the AICPU: aicpu/MACHINE/CHIP/ABI/libaicpu.so in the target
    /// folder, each with an unstripped twin.
    BuildAicpu(firmware::Wishes),
    /// Builds the program of devices in processes of their own: device/MACHINE/process-device in the target folder.
    BuildDevice {
        /// Machine to build for; without it, this one.
        #[arg(long, value_name = "TARGET")]
        target: Option<cross::Machine>,
    },
    /// Builds the daemon that stands in for the chip in tests: aicpu/MACHINE/stand-in-daemon in the target folder.
    BuildStandIn {
        /// Machine to build for; without it, this one.
        #[arg(long, value_name = "TARGET")]
        target: Option<cross::Machine>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test { suites, rest } if suites == ["scenes"] => scenes::run(&rest),
        Command::Test { suites, rest } if suites == ["seeds"] => scenes::run_seeds(&rest),
        Command::Test { suites, rest } => {
            scenes::refuse(&rest).and_then(|()| test_suite::run(&suites))
        }
        Command::Ci { checks } => check::run(&checks),
        Command::Tidy => tidy::run(),
        Command::Mutants { count, seed, cycles } => {
            mutants::run(mutants::Work { count, seed, cycles })
        }
        Command::Fuzz { target, seconds } => instrumented::fuzz(&target, seconds),
        Command::Asan => instrumented::asan().map(|outcome| {
            if let check::Outcome::Skipped(reason) = outcome {
                eprintln!("skipped: {reason}");
            }
        }),
        Command::Bench { name, json, compare, quick, rest } => {
            let (json, compare) = (json.as_deref(), compare.as_deref());
            bench::run(&name, bench::Wishes { json, compare, is_quick: quick }, &rest)
        }
        Command::Dist { out } => dist::build(&out),
        Command::BuildAicpu(wishes) => firmware::build_all(&wishes),
        Command::BuildDevice { target } => device_program::build(target).map(drop),
        Command::BuildStandIn { target } => stand_in::build(target).map(drop),
    };
    report(outcome)
}

/// Prints an error with its causes and turns it into the exit code.
fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<cross::NotHere>() { ExitCode::from(NOT_HERE) } else { ExitCode::FAILURE }
        }
    }
}
