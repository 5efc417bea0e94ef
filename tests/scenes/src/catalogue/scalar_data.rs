//! Single elements read and written while the graph is built.

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// Elements of the tensors.
const LENGTH: usize = 128;

/// What the orchestration must have seen, in order (spec trb §9.2).
const CHECK: [f32; 9] = [2.0, 102.0, 77.0, 77.0, 79.0, 42.0, 12.0, 88.0, 55.0];

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let kernels = [aiv(0, "scalar_data/kernels/add.cpp"), aiv(1, "scalar_data/kernels/peek.cpp")];
    vec![Scene {
        name: "scalar_data",
        summary: "get_tensor_data and set_tensor_data with every kind of wait, result = a + b",
        programs: vec![Program::new("scalar_data", "scalar_data/orchestration.cpp", &kernels)],
        // Tasks: five sums of new tensors and memory, a reader, a writer, and two allocations.
        cases: vec![
            Case::new("check", "scalar_data", Expect::Values { tasks: 8 }, arguments).small(),
        ],
    }]
}

fn arguments() -> CaseArguments {
    let length = [LENGTH as u32];
    let a: Vec<f32> = (1..=LENGTH).map(|i| i as f32).collect();
    let b = [1.0_f32; LENGTH];
    let result: Vec<f32> = (2..).take(LENGTH).map(|i| i as f32).collect();
    // The reader adds c to itself while c is still a + b.
    let seen: Vec<f32> = (2..).take(LENGTH).map(|i| (2 * i) as f32).collect();
    CaseArguments::new()
        .input("a", &a, &length)
        .input("b", &b, &length)
        .output("result", &result, &length)
        .exactly()
        .output("seen", &seen, &length)
        .exactly()
        .output("check", &CHECK, &[9])
        .exactly()
        .inout("held", &[9.0_f32], &[55.0], &[1])
        .exactly()
        .output("peeked", &[9.0_f32], &[1])
        .exactly()
}
