//! Project commands, as `cargo xtask …`: the tests, the checks that CI runs, the AICPU image.
//!
//! CI runs these commands and nothing else, so whatever it finds is found the same way by hand.
//!
//! | command | what |
//! |---|---|
//! | `test [SUITE…]` | the fast suite, or parts of it; ends with `N passed, N failed` |
//! | `ci [CHECK…]` | every check, or some; all run, then the failed ones are listed |
//! | `tidy` | the house rules that no compiler checks |
//! | `build-aicpu` | the shared object for the AICPU, for this machine and for aarch64 |

mod check;
mod examples;
mod firmware;
mod process;
mod readme;
mod test_suite;
mod tidy;

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
    /// Checks: fmt, clippy, docs, no-std, loom, tidy, test, examples, readme, deny.
    Ci {
        /// Checks to run; none means all.
        checks: Vec<String>,
    },
    /// Checks the house rules that no compiler checks.
    Tidy,
    /// Builds and links the shared object for the AICPU.
    BuildAicpu,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test { suites } => test_suite::run(&suites),
        Command::Ci { checks } => check::run(&checks),
        Command::Tidy => tidy::run(),
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
