//! Graphs that are built on the host (spec hbg §A13), and what their orchestrations may do with
//! memory and words. Paged attention is with that of the other runtime.

use super::batched_matmul::{Grid, TWO_TASKS};
use super::vector::{self, Elements};
use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

mod graphs;
mod matmul;
mod memory;
mod shape;
mod words;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes = vec![vector_example(), dump_tensor(), bgemm(), matmul::scene()];
    scenes.extend(graphs::scenes());
    scenes.extend(memory::scenes());
    scenes.push(words::scene());
    scenes
}

/// f = (a + b + 1)(a + b + 2), a diamond.
fn vector_example() -> Scene {
    let kernels = [
        aiv(0, "host_graph/vector/kernels/add.cpp"),
        aiv(1, "host_graph/vector/kernels/add_scalar.cpp"),
        aiv(2, "host_graph/vector/kernels/mul.cpp"),
    ];
    let source = "host_graph/vector/orchestration.cpp";
    let case = |name: &str, element: fn(usize) -> (f32, f32)| {
        let expect = Expect::Values { tasks: 4 };
        Case::new(name, "build_example_graph", expect, move || {
            let element: Elements = Box::new(element);
            vector::of_closed_form(element, |a, b| (a + b + 1.0) * (a + b + 2.0))
        })
    };
    Scene {
        name: "hbg_vector",
        summary: "f = (a + b + 1)(a + b + 2) as a diamond of four tasks",
        programs: vec![Program::host_built("build_example_graph", source, &kernels)],
        cases: vec![
            case("two and three", |_| (2.0, 3.0)).block_dims(&[3, 24]).small(),
            case("a ramp", |i| (i as f32 / 64.0, 100.0 - (i % 97) as f32)).block_dims(&[1]),
        ],
    }
}

/// f = a + b + 1, in tasks with descriptions of their tensors.
fn dump_tensor() -> Scene {
    let kernels = [
        aiv(0, "host_graph/vector/kernels/add.cpp"),
        aiv(1, "host_graph/dump_tensor/kernels/add_scalar_inplace.cpp"),
    ];
    let source = "host_graph/dump_tensor/orchestration.cpp";
    let case = |name: &str, with_wrong_ones: u64| {
        Case::new(name, "build_dump_tensor_graph", Expect::Values { tasks: 2 }, move || {
            let element: Elements = Box::new(|i| (2.0 + (i % 10) as f32, 3.0));
            vector::of_closed_form(element, |a, b| a + b + 1.0).exactly().scalar(with_wrong_ones)
        })
    };
    Scene {
        name: "hbg_dump_tensor",
        summary: "f = a + b + 1, with both ways to say what tensors look like; wrong ones are refused",
        programs: vec![Program::host_built("build_dump_tensor_graph", source, &kernels)],
        cases: vec![
            case("described", 0).block_dims(&[3, 24]).small(),
            case("described wrongly as well", 1).block_dims(&[3]),
        ],
    }
}

/// A cube task for each product of tiles, chains of vector tasks that add them up.
fn bgemm() -> Scene {
    let kernels =
        [aic(0, "host_graph/bgemm/kernels/gemm.cpp"), aiv(1, "host_graph/bgemm/kernels/add.cpp")];
    let source = "host_graph/bgemm/orchestration.cpp";
    let case = |name: &str, grid: Grid| {
        let expect = Expect::Values { tasks: TWO_TASKS * grid.products() };
        Case::new(name, "build_bgemm_graph", expect, move || grid.arguments().scalar(grid.tile))
    };
    Scene {
        name: "hbg_bgemm",
        summary: "C += A x B in tiles: 64 cube products, 64 vector additions in chains along K",
        programs: vec![Program::host_built("build_bgemm_graph", source, &kernels)],
        cases: vec![
            case("128 tasks", Grid { batch: 1, rows: 4, columns: 4, depth: 4, tile: 16 })
                .block_dims(&[24, 3, 1])
                .rounds(2)
                .small(),
            case("large tiles", Grid { batch: 1, rows: 4, columns: 4, depth: 4, tile: 64 })
                .block_dims(&[24]),
            case("one long chain", Grid { batch: 1, rows: 1, columns: 1, depth: 64, tile: 16 })
                .block_dims(&[3]),
            case("8 matrices", Grid { batch: 8, rows: 6, columns: 6, depth: 5, tile: 16 }),
        ],
    }
}

/// Kernels of tests on 64-bit numbers in memory.
fn memory_kernels() -> [crate::program::KernelSource; 2] {
    [aiv(0, "host_graph/memory/kernels/put.cpp"), aiv(1, "host_graph/memory/kernels/append.cpp")]
}

/// Case arguments without any.
fn none() -> CaseArguments {
    CaseArguments::new()
}
