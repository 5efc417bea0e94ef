//! Tasks with very many producers, producers with very many consumers, and waves of ready tasks.

use super::cells::{KERNELS, appended, program};
use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

const FANS: &str = "fans/orchestration.cpp";
/// What outputs hold before; no task computes it.
const BEFORE: u64 = 0xDEAD_BEEF;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            name: "fan_in",
            summary: "65, 300 and mixed kinds of producers of one task",
            programs: vec![program(FANS, "fan_in"), program(FANS, "fan_in_mixed")],
            cases: vec![
                fan_in(65).small(),
                fan_in(300),
                Case::new("mixed", "fan_in_mixed", Expect::Values { tasks: 85 }, mixed).small(),
            ],
        },
        Scene {
            name: "fan_out",
            summary: "1000 consumers of one producer, and one task that waits for all of them",
            programs: vec![program(FANS, "fan_out")],
            cases: vec![fan_out(100).small(), fan_out(1000)],
        },
        waves(),
    ]
}

/// One producer a cell. The sum of 1000 + i² has a closed form.
fn fan_in(cells: u64) -> Case {
    let expect = Expect::Values { tasks: cells + 1 };
    Case::new(format!("{cells} producers"), "fan_in", expect, move || {
        let before = vec![BEFORE; cells as usize];
        let after: Vec<u64> = (0..cells).map(|i| 1000 + i * i).collect();
        let sum = 1000 * cells + (cells - 1) * cells * (2 * cells - 1) / 6;
        CaseArguments::new().inout("cells", &before, &after, &[cells as u32]).inout(
            "out",
            &[BEFORE],
            &[sum],
            &[1],
        )
    })
}

/// Input k counts k + 1 times: the cells are the first, the new tensors follow, the side is last.
fn mixed() -> CaseArguments {
    let cells: Vec<u64> = (0..72).map(|i| 10 * i).collect();
    let new = |k: u64| 3 * 7 * k + 3;
    let side = [500_u64, 501, 502, 503];
    let sum = 10 * 71 * 72 / 2 + (0..8).map(|k| (k + 2) * new(k)).sum::<u64>() + 10 * 2006;
    CaseArguments::new()
        .inout("cells", &[BEFORE; 72], &cells, &[72])
        .inout("side", &[BEFORE; 4], &side, &[4])
        .inout("out", &[BEFORE], &[sum], &[1])
}

fn fan_out(consumers: u64) -> Case {
    let expect = Expect::Values { tasks: consumers + 2 };
    Case::new(format!("{consumers} consumers"), "fan_out", expect, move || {
        let before: Vec<u64> = (0..consumers).map(|i| i * i).collect();
        let after: Vec<u64> = (0..consumers).map(|i| 3 * i * i + 5 + i).collect();
        let total: u64 = after.iter().sum();
        CaseArguments::new().inout("out", &before, &after, &[consumers as u32]).inout(
            "total",
            &[BEFORE],
            &[total],
            &[1],
        )
    })
}

/// Waves of 3 tasks for each group of cells.
fn waves() -> Scene {
    let mut kernels = KERNELS.to_vec();
    kernels.extend([aic(3, "waves/kernels/step.cpp"), aiv(4, "waves/kernels/step.cpp")]);
    let case = |groups: u64, waves: u64| {
        let expect = Expect::Values { tasks: waves * (2 + 3 * groups) };
        Case::new(format!("{waves} waves of {}", 3 * groups), "waves", expect, move || {
            let cores = (0..groups).flat_map(|_| [0, 1, 2, 0, 0]);
            let after = |(cell, core): (u64, u64)| {
                appended(cell, (0..waves).flat_map(|wave| [1, wave + core]))
            };
            let before: Vec<u64> = (0..5 * groups).collect();
            let after: Vec<u64> = before.iter().copied().zip(cores).map(after).collect();
            CaseArguments::new()
                .inout("cells", &before, &after, &[before.len() as u32])
                .scalar(waves)
        })
    };
    Scene {
        name: "ready_queue_contention",
        summary: "waves of short tasks of all shapes that become ready at the same moment",
        programs: vec![Program::new("waves", "waves/orchestration.cpp", &kernels)],
        cases: vec![case(8, 4).small(), case(60, 6)],
    }
}
