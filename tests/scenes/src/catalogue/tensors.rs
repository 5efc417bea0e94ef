//! What tensors can be: element types, views, initial values, accumulators.

use host_runner::arguments::Element;
use host_runner::float16::{BFloat16, Float16};

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let dtypes = [aiv(0, "dtypes/kernels/add.cpp"), aiv(1, "dtypes/kernels/reverse.cpp")];
    let accumulate = [aiv(0, "accumulators/kernels/accumulate.cpp")];
    let combine = [aiv(0, "arguments/kernels/combine.cpp")];
    vec![
        Scene {
            name: "dtypes",
            summary: "every element type: tensors, initial values, scalars, single elements",
            programs: vec![Program::new("dtypes", "dtypes/orchestration.cpp", &dtypes)],
            cases: vec![
                Case::new("all", "dtypes", Expect::Values { tasks: 33 }, all_types).small(),
            ],
        },
        Scene {
            name: "accumulators",
            summary: "alloc_tensors in its three forms, initial values, many scopes that add",
            programs: vec![Program::new(
                "accumulators",
                "accumulators/orchestration.cpp",
                &accumulate,
            )],
            cases: vec![accumulators(3).small(), accumulators(50), accumulators(9).rings(16, 0)],
        },
        Scene {
            name: "most_arguments",
            summary: "64 tensors and 128 scalars of a run, 16 tensors and 32 scalars of a task",
            programs: vec![Program::new("arguments", "arguments/orchestration.cpp", &combine)],
            cases: vec![
                Case::new("all", "arguments", Expect::Values { tasks: 5 }, most_arguments).small(),
            ],
        },
    ]
}

/// Elements of a tensor of [`all_types`].
const LENGTH: usize = 40;

/// Adds the tensors of one element type; `number` makes one of its elements of a whole number.
fn of_type<T: Element>(
    arguments: CaseArguments,
    addend: i32,
    number: impl Fn(i32) -> T,
) -> CaseArguments {
    let values = || (0..LENGTH as i32).map(|i| i * 2 - 7);
    let input: Vec<T> = values().map(&number).collect();
    let mut output: Vec<T> = values().rev().map(|value| number(value + addend)).collect();
    output[0] = number(2 * 3 - 7 + addend);
    output[1] = number(addend);
    let length = [LENGTH as u32];
    arguments.input("in", &input, &length).output("out", &output, &length).exactly()
}

/// All element types. Unsigned ones wrap around, which is what their arithmetic does.
fn all_types() -> CaseArguments {
    let arguments = CaseArguments::new();
    let arguments = of_type(arguments, 5, |i| i as f32);
    let arguments = of_type(arguments, 9, |i| Float16::from_f32(i as f32));
    let arguments = of_type(arguments, -30, |i| i);
    let arguments = of_type(arguments, 300, |i| i as i16);
    let arguments = of_type(arguments, -20, |i| i as i8);
    let arguments = of_type(arguments, 100, |i| i as u8);
    let arguments = of_type(arguments, 11, |i| BFloat16::from_f32(i as f32));
    let arguments = of_type(arguments, -99, i64::from);
    let arguments = of_type(arguments, 77, |i| i64::from(i) as u64);
    let arguments = of_type(arguments, 1000, |i| i as u16);
    let arguments = of_type(arguments, 70_000, |i| i as u32);
    let arguments = arguments.scalar(5.0_f32).scalar(Float16::from_f32(9.0)).scalar(-30_i32);
    let arguments = arguments.scalar(300_i16).scalar(-20_i8).scalar(100_u8);
    let arguments = arguments.scalar(BFloat16::from_f32(11.0)).scalar(-99_i64).scalar(77_u64);
    arguments.scalar(1000_u16).scalar(70_000_u32)
}

/// With x = in - 2 in each of n turns, total k is its start + n (k + 1) x. The third also gets what
/// the two tensors hold that nobody adds to: -2 and 0.
fn accumulators(turns: u64) -> Case {
    // Allocations are tasks: three at the start, one in each turn.
    let tasks = 3 + turns * 5 + 5;
    Case::new(format!("{turns} turns"), "accumulators", Expect::Values { tasks }, move || {
        let input: Vec<f32> = (0..100).map(|i| i as f32 / 4.0).collect();
        let before = [100.0_f32; 100];
        let total = |k: u64, start: f64| -> Vec<f32> {
            let factor = (turns * (k + 1)) as f64;
            let cell = |i: u32| 100.0 + start + factor * (f64::from(i) / 4.0 - 2.0);
            (0..100).map(|i| cell(i) as f32).collect()
        };
        CaseArguments::new()
            .input("in", &input, &[100])
            .inout("first", &before, &total(0, 0.0), &[100])
            .inout("second", &before, &total(1, 0.5), &[100])
            .inout("third", &before, &total(2, -2.0 - 2.0), &[100])
            .scalar(turns)
    })
}

/// Tensor i holds (i + 1)², scalar j is 7 j + 1; what each counts follows from its place.
fn most_arguments() -> CaseArguments {
    let tensor = |i: u64| (i + 1) * (i + 1);
    let scalar = |j: u64| 7 * j + 1;
    let of_place = |i: u64| match i % 16 {
        // Five times each, as inputs 0, 3, … of the last task, or 1, 4, … or 2, 5, ….
        15 => (0..5).map(|turn| 3 * turn + i / 16 + 1).sum(),
        place => place + 1,
    };
    let tensors: u64 = (0..63).map(|i| of_place(i) * tensor(i)).sum();
    let scalars: u64 = (0..128).map(|j| (j % 32 + 1) * scalar(j)).sum();
    let arguments = (0..63)
        .fold(CaseArguments::new(), |arguments, i| arguments.input("in", &[tensor(i)], &[1]));
    let arguments =
        arguments.inout("out", &[1_000_000_u64], &[1_000_000 + tensors + scalars], &[1]);
    (0..128).fold(arguments, |arguments, j| arguments.scalar(scalar(j)))
}
