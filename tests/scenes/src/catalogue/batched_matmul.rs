//! Batches of matrices multiplied in tiles: products on cube cores added up by vector cores, as
//! single tasks or within a cluster through a pipe (spec trb §9.2 `benchmark_bgemm`, §9.3 `bgemm`).

use super::numbers::Numbers;
use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// Sizes of a batch of products C += A x B, in tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) batch: u32,
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) depth: u32,
    /// Elements along each side of a tile.
    pub(super) tile: u32,
}

/// Two tasks for each product of two tiles.
pub(super) const TWO_TASKS: u64 = 2;
/// One task for each product of two tiles.
const ONE_TASK: u64 = 1;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![batched_matmul(), cluster_matmul()]
}

/// A cube task and a vector task for each product of tiles.
fn batched_matmul() -> Scene {
    let kernels =
        [aic(0, "batched_matmul/kernels/matmul.cpp"), aiv(1, "batched_matmul/kernels/add.cpp")];
    // 250 products of 1 KiB. With half of that, memory is used again within a run, so that an addition
    // that does not wait finds another product, not its own from the run before.
    let five_hundred = |group: u32, heap_kibibytes: u64| {
        let grid = Grid { batch: 5, rows: 5, columns: 5, depth: 2, tile: 16 };
        case(&format!("500 tasks, {group} tiles to a group"), grid, group)
            .block_dims(&[24])
            .rings(0, heap_kibibytes << 10)
    };
    let mut cases = vec![
        five_hundred(1, 128),
        five_hundred(5, 128),
        five_hundred(25, 128).small(),
        five_hundred(125, 256),
    ];
    let grid = Grid { batch: 64, rows: 2, columns: 2, depth: 2, tile: 32 };
    cases.push(case("64 matrices", grid, 4).block_dims(&[3]));
    let grid = Grid { batch: 8, rows: 6, columns: 6, depth: 5, tile: 16 };
    cases.push(case("2880 tasks", grid, 9).block_dims(&[1, 24]));
    let grid = Grid { batch: 2, rows: 4, columns: 4, depth: 4, tile: 64 };
    cases.push(case("large tiles", grid, 16).block_dims(&[9]));
    // A group is 24 products of 1 KiB with 24 additions, in 63 usable slots: slots run out first.
    let grid = Grid { batch: 5, rows: 4, columns: 3, depth: 2, tile: 16 };
    let rings = |case: Case, heap_bytes| {
        let mut case = case.rings(64, heap_bytes).small();
        case.rings.dep_pool = 256;
        case
    };
    cases.push(rings(case("64 slots", grid, 12), 64 << 10));
    // Here it is 12 products in 16 KiB: memory runs out first.
    cases.push(rings(case("16 KiB", grid, 6), 16 << 10));
    Scene {
        name: "batched_matmul",
        summary: "tiled C += A x B over a batch, a cube and a vector task a product, in groups",
        programs: vec![Program::new(
            "batched_matmul",
            "batched_matmul/orchestration.cpp",
            &kernels,
        )],
        cases,
    }
}

/// A case of `batched_matmul` with this many tiles of C to a scope.
fn case(name: &str, grid: Grid, group: u32) -> Case {
    let tasks = TWO_TASKS * grid.products();
    Case::new(name, "batched_matmul", Expect::Values { tasks }, move || {
        grid.arguments().scalar(grid.tile).scalar(group)
    })
}

/// A cluster task for each product of tiles; the product goes through a pipe.
fn cluster_matmul() -> Scene {
    let kernels = [
        aic(0, "cluster_matmul/kernels/multiply.cpp"),
        aiv(1, "cluster_matmul/kernels/add_half.cpp"),
    ];
    let case = |name: &str, grid: Grid| {
        let tasks = ONE_TASK * grid.products();
        Case::new(name, "cluster_matmul", Expect::Values { tasks }, move || grid.arguments())
    };
    Scene {
        name: "cluster_matmul",
        summary: "tiled C += A x B, a task on a whole cluster a product, handed over in a pipe",
        programs: vec![Program::new(
            "cluster_matmul",
            "cluster_matmul/orchestration.cpp",
            &kernels,
        )],
        cases: vec![
            case("4 x 4 x 4, twice", Grid { batch: 2, rows: 4, columns: 4, depth: 4, tile: 16 })
                .block_dims(&[1, 3, 24])
                .small(),
            case("one long chain", Grid { batch: 1, rows: 1, columns: 1, depth: 64, tile: 16 })
                .block_dims(&[3]),
            case("independent", Grid { batch: 8, rows: 8, columns: 8, depth: 1, tile: 16 })
                .block_dims(&[3, 24]),
        ],
    }
}

impl Grid {
    /// Products of two tiles.
    pub(super) fn products(self) -> u64 {
        [self.batch, self.rows, self.columns, self.depth].map(u64::from).into_iter().product()
    }

    /// The matrices, C with something in it before, and the product of the whole matrices in `f64`.
    ///
    /// All numbers are multiples of 1/8 below 1 in magnitude, so products are multiples of 1/64 and
    /// sums of `depth * tile` of them, below 512, are exact in `f32` whatever their order is: the
    /// comparison is exact.
    pub(super) fn arguments(self) -> CaseArguments {
        let (m, k, n) = (self.rows * self.tile, self.depth * self.tile, self.columns * self.tile);
        let mut numbers = Numbers::seeded(u64::from(m) << 32 | u64::from(k * self.batch));
        let mut eighths = |count: u32| -> Vec<f32> {
            (0..count).map(|_| (numbers.below(15) as f32 - 7.0) / 8.0).collect()
        };
        let a = eighths(self.batch * m * k);
        let b = eighths(self.batch * k * n);
        let before = eighths(self.batch * m * n);
        let [rows, inner, columns] = [m, k, n].map(|side| side as usize);
        let product = |(index, &before): (usize, &f32)| {
            let (matrix, i, j) =
                (index / (rows * columns), index / columns % rows, index % columns);
            let row = &a[(matrix * rows + i) * inner..][..inner];
            let column = b[matrix * inner * columns + j..].iter().step_by(columns);
            let sum: f64 = row.iter().zip(column).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            (f64::from(before) + sum) as f32
        };
        let c: Vec<f32> = before.iter().enumerate().map(product).collect();
        CaseArguments::new()
            .input("a", &a, &[self.batch, m, k])
            .input("b", &b, &[self.batch, k, n])
            .inout("c", &before, &c, &[self.batch, m, n])
            .exactly()
    }
}
