//! The command line of the bench.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::rounds::Pace;
use crate::system_calls::Repetitions;

/// Times loaders of shared objects against each other, in one process.
///
/// An operation is: load, resolve three exports, run the constructors, unload. All methods take
/// turns; what the loaded functions answer is compared before anything is timed, and a wrong
/// answer fails the command. A target that is missed does not: machines are noisy.
///
/// The JSON file has `bench`, `quick`, `setting`, `images`, `rows` (method, image, median,
/// p90, min, max, unit, rounds), `system_calls` (method, image, per_load) and `targets` (id,
/// measured, unit, target).
#[derive(Debug, Parser)]
#[command(name = "loader")]
pub(crate) struct Arguments {
    /// Writes what was measured to FILE, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Takes a few seconds, for coarse figures: shows that everything works.
    #[arg(long)]
    pub(crate) quick: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long each part measures.
pub(crate) struct Schedule {
    pub(crate) small: Pace,
    pub(crate) big: Pace,
    pub(crate) sibling: Pace,
    /// Loads per method whose answers are compared: enough to visit each of 64 slots.
    pub(crate) small_verified: u32,
    pub(crate) big_verified: u32,
    /// Loads whose system calls are counted; each of 64 slots is warm before.
    pub(crate) small_counted: Repetitions,
    pub(crate) big_counted: Repetitions,
}

impl Arguments {
    /// The schedule asked for: under a minute, or under ten seconds, with the compiling.
    pub(crate) fn schedule(&self) -> Schedule {
        let milliseconds = Duration::from_millis;
        let budget = |full, quick| milliseconds(if self.quick { quick } else { full });
        let small = milliseconds(4);
        Schedule {
            small: Pace { budget: budget(18_000, 900), slice: small, warm_up: 4 },
            big: Pace { budget: budget(18_000, 900), slice: milliseconds(12), warm_up: 1 },
            sibling: Pace { budget: budget(6_000, 300), slice: small, warm_up: 4 },
            small_verified: 130,
            big_verified: 2,
            small_counted: Repetitions { warm_up: 64, counted: 64 },
            big_counted: Repetitions { warm_up: 2, counted: 4 },
        }
    }
}
