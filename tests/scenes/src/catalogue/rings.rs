//! Scopes and rings: slots that are used again and again, depths beyond the rings, explicit order.

use super::cells::{appended, program};
use crate::arguments::CaseArguments;
use crate::program::Program;
use crate::scene::{Case, Expect, Scene};

/// What outputs hold before.
const BEFORE: u64 = 7;

fn entry(name: &'static str) -> Vec<Program> {
    vec![program("rings/orchestration.cpp", name)]
}

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            name: "window_wrap",
            summary: "windows of 4 and 8 slots that wrap around many times, with nested scopes",
            programs: entry("nested"),
            cases: vec![
                nested("4 slots", 6, 5).rings(4, 0).small(),
                nested("8 slots", 6, 5).rings(8, 0).small(),
                nested("4 slots, many turns", 40, 20).rings(4, 0),
                nested("4 KiB of outputs", 20, 10).rings(8, 4096),
                nested("rings of usual size", 40, 20),
            ],
        },
        Scene {
            name: "consumed_producer",
            summary: "a producer is done and its slot reused before the outer scope's consumer",
            programs: entry("consumed"),
            cases: vec![
                consumed("4 slots", 20).rings(4, 0).small(),
                consumed("8 slots", 100).rings(8, 0),
                consumed("no reuse", 3).small(),
            ],
        },
        Scene {
            name: "deep_scopes",
            summary: "scopes 10 deep, more than there are rings",
            programs: entry("deep"),
            cases: vec![
                deep(10).small(),
                deep(40),
                // A ring frees its slots in order, so the last one holds all 33 tasks from depth 3 on.
                deep(9).rings(64, 0).small(),
            ],
        },
        Scene {
            name: "manual_scopes",
            summary: "chains in MANUAL scopes, in turns and nested, joined by explicit dependencies",
            programs: entry("manual"),
            cases: vec![manual(10).small(), manual(100)],
        },
        Scene {
            name: "empty_graph",
            summary: "no task, and scopes without tasks",
            programs: [entry("empty"), entry("empty_scopes")].concat(),
            cases: vec![
                empty("no task", "empty").small(),
                empty("scopes", "empty_scopes").small(),
                empty("scopes, 4 slots", "empty_scopes").rings(4, 0),
            ],
        },
    ]
}

/// Each inner turn appends the inner value with the outer turn, then the outer value with the inner
/// turn: j + i and 100 i + j.
fn nested(name: &str, outer: u64, inner: u64) -> Case {
    let tasks = outer * (1 + 3 * inner);
    Case::new(name, "nested", Expect::Values { tasks }, move || {
        let turns = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
        let after = appended(BEFORE, turns.flat_map(|(i, j)| [j + i, 100 * i + j]));
        CaseArguments::new().inout("out", &[BEFORE], &[after], &[1]).scalar(outer).scalar(inner)
    })
}

fn consumed(name: &str, between: u64) -> Case {
    let expect = Expect::Values { tasks: 1 + 2 * between + 2 };
    Case::new(name, "consumed", expect, move || {
        let after = appended(BEFORE, (0..between).chain([41 + 7]));
        CaseArguments::new()
            .inout("kept", &[BEFORE; 2], &[41, 42], &[2])
            .inout("out", &[BEFORE], &[after], &[1])
            .scalar(between)
    })
}

/// Each scope appends 3 times its depth before, and one more after, the scopes in it.
fn deep(most: u64) -> Case {
    fn steps(depth: u64, most: u64) -> Vec<u64> {
        let inside = if depth < most { steps(depth + 1, most) } else { Vec::new() };
        let times = if depth + 3 > most { 2 } else { 1 };
        [vec![3 * depth], inside.repeat(times), vec![3 * depth + 1]].concat()
    }
    let steps = steps(1, most);
    let expect = Expect::Values { tasks: steps.len() as u64 / 2 * 3 };
    Case::new(format!("{most} deep"), "deep", expect, move || {
        let after = appended(BEFORE, steps.iter().copied());
        CaseArguments::new().inout("out", &[BEFORE], &[after], &[1]).scalar(most)
    })
}

/// Four chains, of which the last has twice the steps.
fn manual(steps: u64) -> Case {
    let expect = Expect::Values { tasks: 5 * steps + 1 };
    Case::new(format!("{steps} steps"), "manual", expect, move || {
        let before = [1_u64, 2, 3, 4];
        let mut after = before.map(|cell| appended(cell, (0..steps).map(|i| i + 9)));
        after[3] = appended(after[3], (0..steps).map(|i| i + 9));
        let sum = after.iter().fold(0, |sum: u64, cell| sum.wrapping_add(*cell));
        CaseArguments::new()
            .input("in", &[9_u64], &[1])
            .inout("cells", &before, &after, &[4])
            .inout("out", &[BEFORE], &[sum], &[1])
            .scalar(steps)
    })
}

fn empty(name: &str, program: &'static str) -> Case {
    Case::new(name, program, Expect::Values { tasks: 0 }, || {
        CaseArguments::new().inout("untouched", &[3_u8, 1, 4], &[3, 1, 4], &[3]).scalar(1_u64)
    })
}
