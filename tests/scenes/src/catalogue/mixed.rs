//! Mixed tasks: every set of cores that a task can have.

use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// Which cores each shape uses, in the order of the orchestration: cube, vector 0, vector 1.
const SHAPES: [[bool; 3]; 9] = [
    [true, true, true],
    [true, false, false],
    [false, true, false],
    [false, true, true],
    [true, true, false],
    [false, false, true],
    [true, false, true],
    [false, true, true],
    [true, true, true],
];

/// Elements of a line.
const LINE: usize = 16;
/// What no kernel writes.
const UNTOUCHED: f32 = -1.0;
/// What ends a line of a task on one core.
const ONE_CORE: f32 = -2.0;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let kernels = [
        aic(0, "mixed/kernels/cube.cpp"),
        aiv(1, "mixed/kernels/first.cpp"),
        aiv(2, "mixed/kernels/second.cpp"),
        aiv(3, "mixed/kernels/both.cpp"),
    ];
    let case = |name: &str, iterations: u64, in_line: u64| {
        let tasks = iterations * SHAPES.len() as u64;
        let arguments = move || arguments(iterations, in_line);
        Case::new(name, "mixed", Expect::Values { tasks }, arguments).block_dims(&[3, 24, 1])
    };
    vec![Scene {
        name: "mixed_example",
        summary: "tasks of every set of cores, 4 iterations, in line and side by side",
        programs: vec![Program::new("mixed", "mixed/orchestration.cpp", &kernels)],
        cases: vec![
            case("in line", 4, 1).small(),
            case("side by side", 4, 0).small(),
            case("many side by side", 40, 0),
        ],
    }]
}

/// Element i of the line of core c holds (iteration + 1) * i + 100 * (c + 1), where the task uses
/// that core; the last one which vector core it is, in tasks of several cores.
fn arguments(iterations: u64, in_line: u64) -> CaseArguments {
    let mut expected = Vec::new();
    for factor in 1..=iterations {
        for cores in SHAPES {
            let is_mixed = cores.iter().filter(|&&is_used| is_used).count() > 1;
            for ((is_used, first), vector_core) in
                cores.into_iter().zip([100, 200, 300]).zip([0.0, 0.0, 1.0])
            {
                if !is_used {
                    expected.extend([UNTOUCHED; LINE]);
                    continue;
                }
                expected.extend((0..LINE as u64 - 1).map(|i| (factor * i + first) as f32));
                expected.push(if is_mixed { vector_core } else { ONE_CORE });
            }
        }
    }
    let initial = vec![UNTOUCHED; expected.len()];
    CaseArguments::new()
        .inout("out", &initial, &expected, &[expected.len() as u32])
        .exactly()
        .scalar(iterations)
        .scalar(in_line)
}
