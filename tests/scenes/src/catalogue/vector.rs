//! Vector arithmetic: outputs that the runtime allocates, scalars, a nested scope.

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// Rows and columns of the tensors of the reference's example (spec trb §9.2).
const SHAPE: [u32; 2] = [128, 128];

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![Scene {
        name: "vector",
        summary: "f = (a + b + 1)(a + b + 2) + (a + b), create-info outputs, scalars, nested scope",
        programs: vec![program("vector")],
        cases: vec![
            Case::new("two and three", "vector", Expect::Values { tasks: 5 }, || {
                arguments(|_| (2.0, 3.0))
            })
            .small(),
            Case::new("a ramp", "vector", Expect::Values { tasks: 5 }, || {
                arguments(|i| (i as f32 / 64.0, 100.0 - (i % 97) as f32))
            })
            .block_dims(&[1, 24]),
        ],
    }]
}

/// The program, under a name.
fn program(name: &'static str) -> Program {
    let kernels = [
        aiv(0, "vector/kernels/add.cpp"),
        aiv(1, "vector/kernels/add_scalar.cpp"),
        aiv(2, "vector/kernels/mul.cpp"),
    ];
    Program::new(name, "vector/orchestration.cpp", &kernels)
}

/// Elements by position. With s = a + b the result is s² + 4s + 2; for 2 and 3 it is 47.
fn arguments(element: impl Fn(usize) -> (f32, f32)) -> CaseArguments {
    let count = (SHAPE[0] * SHAPE[1]) as usize;
    let (a, b): (Vec<f32>, Vec<f32>) = (0..count).map(element).unzip();
    let closed_form = |(a, b): (&f32, &f32)| {
        let sum = f64::from(*a) + f64::from(*b);
        (sum * sum + 4.0 * sum + 2.0) as f32
    };
    let f: Vec<f32> = a.iter().zip(&b).map(closed_form).collect();
    CaseArguments::new().input("a", &a, &SHAPE).input("b", &b, &SHAPE).output("f", &f, &SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_three_make_forty_seven() {
        let count = (SHAPE[0] * SHAPE[1]) as usize;
        let mut buffers = arguments(|_| (2.0, 3.0)).buffers();
        buffers[2] = vec![47.0_f32; count].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(arguments(|_| (2.0, 3.0)).exactly().check(&buffers), Ok(()));
    }
}
