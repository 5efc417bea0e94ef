//! Vector arithmetic: outputs that the runtime allocates, scalars, a nested scope.

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// Rows and columns of the tensors of the reference's example (spec trb §9.2).
const SHAPE: [u32; 2] = [128, 128];

/// The elements of both inputs by position.
pub(super) type Elements = Box<dyn Fn(usize) -> (f32, f32)>;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let case = |name: &str, element: fn(usize) -> (f32, f32)| {
        Case::new(name, "vector", Expect::Values { tasks: 5 }, move || arguments(Box::new(element)))
    };
    vec![Scene {
        name: "vector",
        summary: "f = (a + b + 1)(a + b + 2) + (a + b), create-info outputs, scalars, nested scope",
        programs: vec![program("vector")],
        cases: vec![
            case("two and three", |_| (2.0, 3.0)).small(),
            case("a ramp", |i| (i as f32 / 64.0, 100.0 - (i % 97) as f32)).block_dims(&[1, 24]),
        ],
    }]
}

/// The program, under a name.
pub(super) fn program(name: &'static str) -> Program {
    let kernels = [
        aiv(0, "vector/kernels/add.cpp"),
        aiv(1, "vector/kernels/add_scalar.cpp"),
        aiv(2, "vector/kernels/mul.cpp"),
    ];
    Program::new(name, "vector/orchestration.cpp", &kernels)
}

/// The same orchestration with sum and product exchanged.
pub(super) fn swapped(name: &'static str) -> Program {
    let mut program = program(name);
    program.kernels[0].func_id = 2;
    program.kernels[2].func_id = 0;
    program
}

/// With s = a + b the result is s² + 4 s + 2; for 2 and 3 it is 47.
pub(super) fn arguments(element: Elements) -> CaseArguments {
    of_closed_form(element, |a, b| {
        let sum = a + b;
        sum * sum + 4.0 * sum + 2.0
    })
}

/// With p = a b the result is p (2 p + 3).
pub(super) fn swapped_arguments(element: Elements) -> CaseArguments {
    of_closed_form(element, |a, b| a * b * (2.0 * a * b + 3.0))
}

pub(super) fn of_closed_form(element: Elements, result: impl Fn(f64, f64) -> f64) -> CaseArguments {
    let count = (SHAPE[0] * SHAPE[1]) as usize;
    let (a, b): (Vec<f32>, Vec<f32>) = (0..count).map(element).unzip();
    let f = |(a, b): (&f32, &f32)| result(f64::from(*a), f64::from(*b)) as f32;
    let f: Vec<f32> = a.iter().zip(&b).map(f).collect();
    CaseArguments::new().input("a", &a, &SHAPE).input("b", &b, &SHAPE).output("f", &f, &SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_three_make_forty_seven() {
        let count = (SHAPE[0] * SHAPE[1]) as usize;
        let arguments = || arguments(Box::new(|_| (2.0, 3.0))).exactly();
        let mut buffers = arguments().buffers();
        buffers[2] = vec![47.0_f32; count].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(arguments().check(&buffers), Ok(()));
    }
}
