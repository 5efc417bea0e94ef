//! Attention in few tasks of many blocks, a cluster each, whose cores hand over in pipes.

use super::{CacheType, Problem, Rank, medium, small};
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

/// How the work is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Heads to a share of a block; even.
    tile: u32,
    /// Batch entries to a task.
    chunk: u32,
    /// Blocks to a task.
    blocks: u32,
    /// Whether they start together.
    together: bool,
}

pub(super) fn scene() -> Scene {
    let kernels = [
        aic(0, "paged_attention/kernels/attention_cube.cpp"),
        aiv(1, "paged_attention/kernels/attention_vector.cpp"),
    ];
    let lengths = [33, 100, 0, 64, 16, 127, 250, 3];
    let wide = || medium(CacheType::Bfloat16, &lengths);
    let one = Cut { tile: 4, chunk: 4, blocks: 1, together: false };
    let four = Cut { tile: 2, chunk: 4, blocks: 4, together: false };
    let apart = Cut { tile: 4, chunk: 2, blocks: 3, together: false };
    let many = Cut { tile: 4, chunk: 8, blocks: 40, together: false };
    Scene {
        name: "paged_attention_spmd",
        summary: "SPMD blocks on whole clusters, scores, weights and sums go through pipes",
        programs: vec![Program::new("spmd", "paged_attention/spmd.cpp", &kernels)],
        cases: vec![
            case("one block", small(CacheType::Float32), one).block_dims(&[1, 24]).small(),
            case("four blocks", small(CacheType::Bfloat16), four).block_dims(&[1, 3, 24]).small(),
            case("four tasks", wide(), apart).block_dims(&[1, 9]),
            case("more blocks than clusters", wide(), many).block_dims(&[3, 24]),
            case("started together", small(CacheType::Bfloat16), Cut { together: true, ..four })
                .block_dims(&[4, 24])
                .small(),
            case("four tasks, started together", wide(), Cut { together: true, ..apart })
                .block_dims(&[3, 24]),
        ],
    }
}

fn case(name: &str, problem: Problem, cut: Cut) -> Case {
    let tasks = problem.lengths.len().div_ceil(cut.chunk as usize) as u64;
    Case::new(name, "spmd", Expect::Values { tasks }, move || {
        let Cut { tile, chunk, blocks, together } = cut;
        let arguments = problem.arguments(Rank::Three).scalar(tile).scalar(chunk);
        arguments.scalar(blocks).scalar(u32::from(together))
    })
}
