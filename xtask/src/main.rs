//! Project commands, as `cargo xtask …`: the tests, the checks that CI runs, the AICPU image.
//!
//! CI runs these commands and nothing else, so whatever it finds is found the same way by hand.
//!
//! | command | what |
//! |---|---|
//! | `test [SUITE…]` | the fast suite, or parts of it; ends with `N passed, N failed` |
//! | `ci [CHECK…]` | every check, or some; all run, then the failed ones are listed |
//! | `tidy` | the house rules that no compiler checks |
//! | `bench NAME` | what something costs, in release; a table, and JSON if asked for |
//! | `build-aicpu` | the shared object for the AICPU, for this machine and for aarch64 |

mod bench;
mod check;
mod examples;
mod firmware;
mod process;
mod readme;
mod test_suite;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
    /// Suites: unit, layout, scenes, doc, firmware, or the name of a file in tests/tests.
    Test {
        /// Suites to run; none means all.
        suites: Vec<String>,
    },
    /// Runs every check, or only those named; all of them run, whatever fails.
    ///
    /// Checks: fmt, clippy, docs, no-std, loom, tidy, test, examples, readme, bench,
    /// deny.
    Ci {
        /// Checks to run; none means all.
        checks: Vec<String>,
    },
    /// Checks the house rules that no compiler checks.
    Tidy,
    /// Runs a bench in release and prints its tables.
    ///
    /// Benches: loader.
    Bench {
        /// The bench to run.
        name: String,
        /// Writes the figures to FILE as well, as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Takes a few seconds, for coarse figures.
        #[arg(long)]
        quick: bool,
        /// Passed on to the bench, such as `-- --help`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Builds and links the shared object for the AICPU.
    BuildAicpu,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test { suites } => test_suite::run(&suites),
        Command::Ci { checks } => check::run(&checks),
        Command::Tidy => tidy::run(),
        Command::Bench { name, json, quick, rest } => {
            bench::run(&name, json.as_deref(), quick, &rest)
        }
        Command::BuildAicpu => firmware::build_all(),
    };
    report(outcome)
}

/// Prints an error with its causes and turns it into the exit code.
fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
