//! The same on the host: block tables and context lengths are read while the graph is built, so its
//! shape depends on what tensors hold.

use super::problem::{CacheType, Problem, Rank};
use super::{BLOCK_TASKS, medium, small};
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// The entry, and what cases call it.
const ENTRY: &str = "build_paged_attention_graph";

/// The scene.
pub(super) fn scene() -> Scene {
    let kernels = [
        aic(0, "host_graph/paged_attention/kernels/qk_matmul.cpp"),
        aiv(1, "host_graph/paged_attention/kernels/softmax_prepare.cpp"),
        aic(2, "host_graph/paged_attention/kernels/pv_matmul.cpp"),
        aiv(3, "host_graph/paged_attention/kernels/online_update.cpp"),
    ];
    let source = "host_graph/paged_attention/orchestration.cpp";
    let lengths = [33, 100, 0, 64, 16, 127];
    let longest = Problem {
        heads: 2,
        head_dim: 16,
        block_size: 8,
        lengths: (0..256).map(|entry| 64 * 8 - entry % 8).collect(),
        ..medium(CacheType::Bfloat16, &[])
    };
    Scene {
        name: "hbg_paged_attention",
        summary: "online softmax over a paged cache; the host reads block tables and lengths",
        programs: vec![Program::host_built(ENTRY, source, &kernels)],
        cases: vec![
            case("small1", small(CacheType::Bfloat16), 2).block_dims(&[1, 9, 24]).small(),
            case("small1, float32", small(CacheType::Float32), 1).block_dims(&[3, 24]).small(),
            case("small2", medium(CacheType::Bfloat16, &lengths), 16).block_dims(&[9, 24]),
            case("small2, float32", medium(CacheType::Float32, &lengths), 4).block_dims(&[24]),
            // 256 entries of 64 blocks, four tasks each.
            case("65,536 tasks", longest, 2).block_dims(&[24]),
        ],
    }
}

/// A case with `tile` heads to a task.
fn case(name: &str, problem: Problem, tile: usize) -> Case {
    let entries = 0..problem.lengths.len();
    let blocks: usize = entries.map(|entry| problem.blocks_of(entry)).sum();
    let tasks = (BLOCK_TASKS * blocks * problem.heads / tile) as u64;
    let arguments = move || problem.arguments(Rank::Three).scalar(tile as u32);
    Case::new(name, ENTRY, Expect::Values { tasks }, arguments)
}
