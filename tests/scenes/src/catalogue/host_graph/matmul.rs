//! Vector, cube and vector tasks on half-precision matrices: exp(t x u + t x v), t = sqrt(log(a)).

use host_runner::float16::Float16;

use crate::arguments::CaseArguments;
use crate::catalogue::numbers::Numbers;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// Tasks of a group of rows.
const GROUP_TASKS: u32 = 4;

/// Sizes of the matrices.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: u32,
    inner: u32,
    columns: u32,
    /// Rows to a group.
    group: u32,
}

/// The scene of this family.
pub(super) fn scene() -> Scene {
    let kernels = [
        aiv(0, "host_graph/matmul/kernels/log_sqrt.cpp"),
        aic(1, "host_graph/matmul/kernels/matmul.cpp"),
        aiv(2, "host_graph/matmul/kernels/add_exp.cpp"),
    ];
    let source = "host_graph/matmul/orchestration.cpp";
    let case = |name: &str, sizes: Sizes| {
        let tasks = u64::from(GROUP_TASKS * sizes.rows.div_ceil(sizes.group));
        Case::new(name, "build_matmul_graph", Expect::Values { tasks }, move || sizes.arguments())
    };
    Scene {
        name: "hbg_matmul",
        summary: "float16 in, float32 out: log and sqrt, two products, sum and exp",
        programs: vec![Program::host_built("build_matmul_graph", source, &kernels)],
        cases: vec![
            case("one group", Sizes { rows: 64, inner: 64, columns: 64, group: 64 })
                .block_dims(&[3, 24]),
            case("groups that end early", Sizes { rows: 30, inner: 32, columns: 20, group: 8 })
                .block_dims(&[1, 24])
                .small(),
            case("many groups", Sizes { rows: 500, inner: 32, columns: 32, group: 2 }),
        ],
    }
}

impl Sizes {
    /// How far an output may be off, as a part of it.
    ///
    /// The kernel and this file may round a root to neighbouring numbers of half precision, which are
    /// 2^-10 apart. Roots are below 1.1 and factors below 1/8, so one such root moves a sum by less
    /// than 1.1 * 2^-10 / 8, and the result by that part of it; sums of 64 terms in `f32` are exact to
    /// 1e-5. Four such roots in one sum are more than there ever are.
    const TOLERANCE: f64 = 4.0 * 1.1 / 1024.0 / 8.0 + 1e-5;

    fn arguments(self) -> CaseArguments {
        let Self { rows, inner, columns, group } = self;
        let mut numbers = Numbers::seeded(u64::from(rows * inner));
        // All of them are exact in half precision.
        let mut a = |count: u32| -> Vec<f32> {
            (0..count).map(|_| 1.25 + numbers.below(125) as f32 / 64.0).collect()
        };
        let a = a(rows * inner);
        let mut factors = |count: u32| -> Vec<f32> {
            (0..count).map(|_| (numbers.below(257) as f32 - 128.0) / 1024.0).collect()
        };
        let (u, v) = (factors(inner * columns), factors(inner * columns));
        let root =
            |a: &f32| f64::from(Float16::from_f32(f64::from(*a).ln().sqrt() as f32).to_f32());
        let roots: Vec<f64> = a.iter().map(root).collect();
        let result = |index: u32| {
            let (i, j) = (index / columns, index % columns);
            let term = |k: u32| {
                let at = (k * columns + j) as usize;
                roots[(i * inner + k) as usize] * (f64::from(u[at]) + f64::from(v[at]))
            };
            (0..inner).map(term).sum::<f64>().exp() as f32
        };
        let out: Vec<f32> = (0..rows * columns).map(result).collect();
        let halves = |numbers: &[f32]| -> Vec<Float16> {
            numbers.iter().map(|number| Float16::from_f32(*number)).collect()
        };
        CaseArguments::new()
            .input("a", &halves(&a), &[rows, inner])
            .input("u", &halves(&u), &[inner, columns])
            .input("v", &halves(&v), &[inner, columns])
            .output("out", &out, &[rows, columns])
            .within(Self::TOLERANCE, 0.0)
            .scalar(u64::from(group))
    }
}
