//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::child::Errand;
use crate::rounds::Pace;

/// Measures what the runtime costs, beside floors that are measured in the same run.
///
/// What is computed is checked: a wrong result fails the command. A target that is missed does not,
/// since machines are noisy; ratios of one run say more than nanoseconds.
#[derive(Debug, Parser)]
#[command(name = "benches")]
pub(crate) struct Arguments {
    /// What to measure.
    pub(crate) bench: Bench,
    /// Writes what was measured to FILE, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Prints the change against an earlier FILE.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Takes the figures of an earlier FILE instead of measuring, to compare or to draw them.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Takes a few seconds, for coarse figures: shows that everything works.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measures only rows whose name has PART; figures that need others are missing then.
    #[arg(long, value_name = "PART", default_value = "")]
    pub(crate) rows: String,
    /// Draws tasks against time into FILE, as SVG; for what measures tasks.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Writes the limits of instructions anew.
    #[arg(long)]
    pub(crate) renew: bool,
    /// What this program does as a child of itself.
    #[arg(long, hide = true)]
    pub(crate) errand: Option<Errand>,
}

/// A bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// One run of one task: how long, what it allocates, what it asks of the system.
    Run,
    /// Many tasks in one run.
    Tasks,
    /// An orchestration of 400 KB, registered.
    Register,
    /// Graphs that are built on the host.
    Graph,
    /// Memory, and a worker that does nothing.
    Memory,
    /// Instructions of the hot paths, against limits; needs valgrind.
    Instructions,
    /// All but instructions.
    All,
}

/// How long each part measures.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Operations of microseconds.
    pub(crate) short: Pace,
    /// Operations of milliseconds.
    pub(crate) long: Pace,
    pub(crate) quick: bool,
    /// What the names of rows must have.
    pub(crate) part: String,
}

impl Schedule {
    /// A few seconds for each part, or less than one.
    pub(crate) fn new(quick: bool, part: &str) -> Self {
        let milliseconds = Duration::from_millis;
        let budget = |full, less| milliseconds(if quick { less } else { full });
        Self {
            short: Pace {
                rounds: 3,
                slice: milliseconds(20),
                warm_up: 20,
                budget: budget(6_000, 600),
            },
            long: Pace {
                rounds: if quick { 1 } else { 5 },
                slice: milliseconds(20),
                warm_up: 1,
                budget: budget(10_000, 1_000),
            },
            quick,
            part: part.to_owned(),
        }
    }
}
