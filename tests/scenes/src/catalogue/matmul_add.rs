//! Cube and vector tasks in turns, all independent.

use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// Rows and columns of a matrix.
const SIDE: usize = 12;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let kernels = [aic(0, "matmul_add/kernels/matmul.cpp"), aiv(1, "matmul_add/kernels/add.cpp")];
    vec![Scene {
        name: "alternating_matmul_add",
        summary: "500 independent tasks, AIC and AIV in turns, each with a scalar of its own",
        programs: vec![Program::new("matmul_add", "matmul_add/orchestration.cpp", &kernels)],
        cases: vec![
            Case::new("10 pairs", "matmul_add", Expect::Values { tasks: 20 }, || arguments(10))
                .small()
                .block_dims(&[1, 24]),
            Case::new("250 pairs", "matmul_add", Expect::Values { tasks: 500 }, || arguments(250))
                .block_dims(&[2, 24]),
        ],
    }]
}

/// The element at a position of one of the inputs: small whole numbers, so that sums are exact.
fn element(salt: usize, pair: usize, row: usize, column: usize) -> f64 {
    ((pair * 31 + row * 7 + column * 13 + salt) % 11) as f64 - 5.0
}

/// Stacks of matrices; the products are computed from the definition, in `f64`.
fn arguments(pairs: usize) -> CaseArguments {
    let stack = |at: &dyn Fn(usize, usize, usize) -> f64| -> Vec<f32> {
        let places = (0..pairs).flat_map(|p| (0..SIDE).map(move |i| (p, i)));
        places.flat_map(|(p, i)| (0..SIDE).map(move |j| at(p, i, j) as f32)).collect()
    };
    let (a, b) = (
        |p: usize, i: usize, j: usize| element(1, p, i, j),
        |p: usize, i: usize, j: usize| element(6, p, i, j),
    );
    let product = |p: usize, i: usize, j: usize| {
        let scale = (p % 5 + 1) as f64;
        (0..SIDE).rev().map(|k| scale * a(p, i, k) * b(p, k, j)).sum()
    };
    let sum = |p: usize, i: usize, j: usize| a(p, i, j) + b(p, i, j) + p as f64 / 2.0;
    let shape = [pairs as u32, SIDE as u32, SIDE as u32];
    CaseArguments::new()
        .input("a", &stack(&a), &shape)
        .input("b", &stack(&b), &shape)
        .output("products", &stack(&product), &shape)
        .exactly()
        .output("sums", &stack(&sum), &shape)
        .exactly()
}
