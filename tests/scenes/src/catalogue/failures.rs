//! Runs that fail on purpose, each followed by one that must work; and what only looks like a
//! failure, a kernel that takes long.

use std::time::Duration;

use protocol::StatusCode;

use super::cells::program;
use crate::arguments::CaseArguments;
use crate::program::Program;
use crate::scene::{Case, Expect, Scene};

/// How long the long kernel takes.
const LONG: Duration = Duration::from_millis(1500);
/// Cells of the long graph.
const CELLS: u64 = 12;

fn entry(name: &'static str) -> Vec<Program> {
    vec![program("failures/orchestration.cpp", name)]
}

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let mut fatal = entry("fatal");
    fatal[0].kernels.clear();
    let text = ["status -9", "tile 7 of the left is odd"];
    let exceptions = StatusCode::EntryException;
    vec![
        Scene {
            name: "explicit_fatal",
            summary: "a reported error ends the run with status -9; later calls are no-ops",
            programs: fatal,
            cases: vec![
                two_cells("reported", "fatal", Expect::fault(StatusCode::ExplicitFatal, &text), 1),
                two_cells("not reported", "fatal", Expect::Values { tasks: 1 }, 0),
            ],
        },
        Scene {
            name: "user_exception",
            summary: "an exception with tasks in flight; its text arrives and the next run works",
            programs: entry("exception"),
            cases: vec![
                two_cells(
                    "text",
                    "exception",
                    Expect::fault(exceptions, &["std::runtime_error", "no such tile: 3"]),
                    1,
                ),
                two_cells("number", "exception", Expect::fault(exceptions, &["int"]), 2),
                two_cells("none", "exception", Expect::Values { tasks: 10 }, 0),
            ],
        },
        Scene {
            name: "long_kernels",
            summary: "a kernel of 1.5 s is a stall where the limit is shorter, and only there",
            programs: entry("long_kernel"),
            cases: vec![
                // First, as it is what is run after the fault.
                long_kernel("short", Expect::Values { tasks: 2 * CELLS }, Duration::ZERO).small(),
                long_kernel("in time", Expect::Values { tasks: 2 * CELLS }, LONG)
                    .stall_timeout(2 * LONG)
                    .block_dims(&[24])
                    .threads(&[1, 3]),
                long_kernel(
                    "too late",
                    Expect::fault(
                        StatusCode::SchedulerTimeout,
                        &["no progress for 300 ms", "core ", "func_id 0"],
                    ),
                    LONG,
                )
                .stall_timeout(LONG / 5)
                .block_dims(&[24])
                .threads(&[1, 3]),
            ],
        },
    ]
}

/// A case of two cells that a run without a fault changes.
fn two_cells(name: &str, program: &'static str, expect: Expect, scalar: u64) -> Case {
    let before = [1_u64, 2];
    let after = if program == "fatal" { [5, 2] } else { [9, 10] };
    let arguments = move || CaseArguments::new().inout("out", &before, &after, &[2]).scalar(scalar);
    Case::new(name, program, expect, arguments).small()
}

/// Each cell is filled and appended to itself: 4 times its first value.
fn long_kernel(name: &str, expect: Expect, time: Duration) -> Case {
    Case::new(name, "long_kernel", expect, move || {
        let after: Vec<u64> = [4000].into_iter().chain((1..CELLS).map(|i| 4 * i)).collect();
        CaseArguments::new()
            .inout("cells", &vec![3; after.len()], &after, &[after.len() as u32])
            .scalar(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    })
}
