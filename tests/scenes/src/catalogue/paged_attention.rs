//! Attention over a paged cache: cube cores multiply, vector cores keep an online softmax, in all the
//! ways in which orchestrations of the reference write it (spec trb §9.2, §9.3, §9.5).

use protocol::ChipName;

use self::problem::{CacheType, Problem, Rank};
use crate::program::{KernelSource, Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

mod host_built;
mod problem;
mod rounds;
mod spmd;

/// Tasks of a tile besides those of its blocks: the one that allocates what is accumulated.
const TILE_TASKS: usize = 1;
/// Tasks of a block, or of a group of blocks: score, weigh, sum, merge.
const BLOCK_TASKS: usize = 4;
/// Blocks to a task where loops are unrolled.
const UNROLL: usize = 4;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        auto_scope(),
        manual_scope(),
        unrolled(),
        four_dims(),
        batched(),
        rounds::scene(),
        ring_wrap(),
        production(),
        spmd::scene(),
        host_built::scene(),
    ]
}

/// The kernels of one block to a task.
const KERNELS: [KernelSource; 4] = [
    aic(0, "paged_attention/kernels/qk_matmul.cpp"),
    aiv(1, "paged_attention/kernels/softmax_prepare.cpp"),
    aic(2, "paged_attention/kernels/pv_matmul.cpp"),
    aiv(3, "paged_attention/kernels/online_update.cpp"),
];

/// The kernels of four blocks to a task.
const UNROLLED_KERNELS: [KernelSource; 4] = [
    aic(0, "paged_attention/kernels/qk_matmul_unrolled.cpp"),
    aiv(1, "paged_attention/kernels/softmax_prepare.cpp"),
    aic(2, "paged_attention/kernels/pv_matmul_unrolled.cpp"),
    aiv(3, "paged_attention/kernels/online_update.cpp"),
];

/// The kernels of one block of many entries to a task.
const BATCHED_KERNELS: [KernelSource; 4] = [
    aic(0, "paged_attention/kernels/qk_matmul_batched.cpp"),
    aiv(1, "paged_attention/kernels/softmax_prepare_batched.cpp"),
    aic(2, "paged_attention/kernels/pv_matmul_batched.cpp"),
    aiv(3, "paged_attention/kernels/online_update_batched.cpp"),
];

impl Case {
    /// With this little output memory a ring, in KiB, so that it is used again within a run: a task
    /// that does not wait for another one then finds what a third one left there, and not what the
    /// same task left in the run before.
    fn heap_kib(self, kibibytes: u64) -> Self {
        self.rings(0, kibibytes << 10)
    }
}

fn auto_program() -> Program {
    Program::new("auto", "paged_attention/orchestration.cpp", &KERNELS)
}

fn manual_program() -> Program {
    Program::new("manual", "paged_attention/manual_scope.cpp", &KERNELS)
}

/// Few heads, short contexts that end within a block, at the end of one, and before the first.
fn small(cache_type: CacheType) -> Problem {
    Problem {
        cache_type,
        heads: 4,
        kv_heads: 1,
        head_dim: 16,
        block_size: 8,
        lengths: vec![19, 8, 0, 1],
        sink: None,
        seed: 1,
    }
}

/// The shape of the reference's small cases: 16 heads of 16 columns, blocks of 16 positions.
fn medium(cache_type: CacheType, lengths: &[usize]) -> Problem {
    Problem {
        cache_type,
        heads: 16,
        kv_heads: 1,
        head_dim: 64,
        block_size: 16,
        lengths: lengths.to_vec(),
        sink: None,
        seed: 2,
    }
}

impl Problem {
    /// Tasks of the orchestrations that work on tiles of heads, `blocks` blocks to a task.
    fn tasks(&self, tile: usize, blocks: usize) -> Expect {
        let tiles = self.heads / tile;
        let of_entry = |entry: usize| match self.blocks_of(entry) {
            0 => 0,
            count => TILE_TASKS + BLOCK_TASKS * count.div_ceil(blocks),
        };
        let tasks = (0..self.lengths.len()).map(of_entry).sum::<usize>() * tiles;
        Expect::Values { tasks: tasks as u64 }
    }
}

/// A case with a task for each block of each tile of heads; `inner_scopes` gives each block one.
fn tiled(
    name: &str,
    program: &'static str,
    problem: Problem,
    tile: usize,
    inner_scopes: bool,
) -> Case {
    let expect = problem.tasks(tile, 1);
    Case::new(name, program, expect, move || {
        problem.arguments(Rank::Three).scalar(tile as u32).scalar(u32::from(inner_scopes))
    })
}

fn auto_scope() -> Scene {
    let lengths = [33, 100, 0, 64, 16, 127];
    let wide = medium(CacheType::Bfloat16, &lengths);
    Scene {
        name: "paged_attention",
        summary: "online softmax over a paged cache; creators keep outputs, accumulators are INOUT",
        programs: vec![auto_program()],
        cases: vec![
            tiled("small, bfloat16", "auto", small(CacheType::Bfloat16), 2, false)
                .heap_kib(32)
                .block_dims(&[1, 9, 24])
                .small(),
            tiled("small, float32", "auto", small(CacheType::Float32), 4, false)
                .heap_kib(32)
                .block_dims(&[3, 24])
                .small(),
            tiled("six entries", "auto", wide.clone(), 16, false).block_dims(&[9]).heap_kib(128),
            tiled("six entries, a scope a block", "auto", wide, 8, true).block_dims(&[3, 24]),
            tiled("36 clusters", "auto", medium(CacheType::Bfloat16, &lengths), 4, false)
                .block_dims(&[36])
                .chips(&[ChipName::A5]),
        ],
    }
}

fn manual_scope() -> Scene {
    Scene {
        name: "paged_attention_manual",
        summary: "the same in MANUAL scopes, every edge an explicit dependency",
        programs: vec![manual_program()],
        cases: vec![
            tiled("small, bfloat16", "manual", small(CacheType::Bfloat16), 2, false)
                .heap_kib(32)
                .block_dims(&[1, 9, 24])
                .small(),
            tiled("small, float32", "manual", small(CacheType::Float32), 1, false)
                .heap_kib(32)
                .block_dims(&[3, 24])
                .small(),
            tiled("long", "manual", medium(CacheType::Bfloat16, &[300, 511, 40]), 8, false)
                .heap_kib(256),
        ],
    }
}

fn unrolled() -> Scene {
    let source = "paged_attention/unrolled.cpp";
    let case = |name: &str, program, problem: Problem, tile: usize| {
        let expect = problem.tasks(tile, UNROLL);
        Case::new(name, program, expect, move || problem.arguments(Rank::Three).scalar(tile as u32))
    };
    let long = medium(CacheType::Bfloat16, &[300, 511, 40, 64, 129]);
    Scene {
        name: "paged_attention_unrolled",
        summary: "four blocks to a task, several tensors to a call, AUTO and MANUAL",
        programs: vec![
            Program::new("auto", source, &UNROLLED_KERNELS).entry("build_paged_attention_graph"),
            Program::new("manual", source, &UNROLLED_KERNELS)
                .entry("build_paged_attention_graph_manual"),
        ],
        cases: vec![
            case("small", "auto", small(CacheType::Float32), 4).small().heap_kib(16),
            case("small, manual", "manual", small(CacheType::Bfloat16), 2).small().heap_kib(16),
            case("long", "auto", long.clone(), 16).block_dims(&[9]).heap_kib(128),
            case("long, manual", "manual", long, 16).block_dims(&[24]).heap_kib(128),
        ],
    }
}

fn four_dims() -> Scene {
    /// Near the larger scores, so that it takes a good part of the weight.
    const SINK: f32 = 1.5;
    let case = |name: &str, problem: Problem| {
        let expect = problem.tasks(problem.heads / problem.kv_heads, 1);
        let problem = Problem { sink: Some(SINK), ..problem };
        Case::new(name, "four_dims", expect, move || problem.arguments(Rank::Four).scalar(SINK))
    };
    let grouped = |cache_type| Problem { kv_heads: 2, ..small(cache_type) };
    let each_its_own =
        Problem { kv_heads: 16, seed: 5, ..medium(CacheType::Bfloat16, &[30, 0, 77]) };
    Scene {
        name: "paged_attention_4d",
        summary: "tensors of rank 4, several heads of keys and values, a sink from initial values",
        programs: vec![Program::new("four_dims", "paged_attention/four_dims.cpp", &KERNELS)],
        cases: vec![
            case("two groups, bfloat16", grouped(CacheType::Bfloat16)).small().heap_kib(32),
            case("two groups, float32", grouped(CacheType::Float32))
                .block_dims(&[1])
                .small()
                .heap_kib(32),
            case("a head each", each_its_own).heap_kib(64),
        ],
    }
}

fn batched() -> Scene {
    let case = |name: &str, problem: Problem, chunk: usize| {
        let of_chunk = |lengths: &[usize]| {
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let blocks = longest.div_ceil(problem.block_size);
            if blocks == 0 { 0 } else { TILE_TASKS + BLOCK_TASKS * blocks }
        };
        let tasks = problem.lengths.chunks(chunk).map(of_chunk).sum::<usize>() as u64;
        Case::new(name, "batched", Expect::Values { tasks }, move || {
            problem.arguments(Rank::Three).scalar(problem.heads as u32).scalar(chunk as u32)
        })
    };
    let lengths: Vec<usize> = (0..24).map(|entry| entry * 37 % 200).collect();
    Scene {
        name: "paged_attention_batched",
        summary: "a task for the same block of many batch entries, kernels read the block table",
        programs: vec![Program::new("batched", "paged_attention/batched.cpp", &BATCHED_KERNELS)],
        cases: vec![
            case("small", small(CacheType::Bfloat16), 2).small().heap_kib(32),
            case("small, at once", small(CacheType::Float32), 4).block_dims(&[1]).small(),
            case("24 entries", medium(CacheType::Bfloat16, &lengths), 5)
                .block_dims(&[9])
                .heap_kib(512),
        ],
    }
}

/// Rings that are far smaller than the graph, so that submission waits for tasks to retire.
fn ring_wrap() -> Scene {
    // 15 blocks: a tile is 61 tasks, of 63 that a ring of 64 slots holds, and 94 KiB.
    let full = medium(CacheType::Bfloat16, &[15 * 16, 14 * 16 + 1, 100, 15 * 16 - 1, 15 * 16, 90]);
    // 3 blocks: a tile is 13 tasks, of 15 that a ring of 16 slots holds, and 18 KiB.
    let narrow = medium(CacheType::Bfloat16, &[48, 33, 5, 0, 47, 48]);
    let long = medium(CacheType::Bfloat16, &[600, 511]);
    let with = |case: Case, task_window, heap_bytes| {
        let mut case = case.rings(task_window, heap_bytes);
        case.rings.dep_pool = 256;
        case
    };
    Scene {
        name: "paged_attention_ring_wrap",
        summary: "rings of 64 and 16 slots, 256 edges and little heap: submission waits",
        programs: vec![auto_program(), manual_program()],
        cases: vec![
            with(tiled("64 slots", "auto", full.clone(), 8, false), 64, 128 << 10),
            with(tiled("64 slots, manual", "manual", full, 8, false), 64, 128 << 10),
            with(tiled("16 slots", "auto", narrow.clone(), 4, false), 16, 32 << 10).small(),
            with(tiled("16 slots, manual", "manual", narrow, 4, false), 16, 32 << 10).small(),
            with(tiled("16 slots, a scope a block", "auto", long, 16, true), 16, 16 << 10),
        ],
    }
}

/// Sizes of real use: heads of 128 columns, blocks of 64 positions, contexts of hundreds.
fn production() -> Scene {
    let problem = Problem {
        cache_type: CacheType::Bfloat16,
        heads: 16,
        kv_heads: 1,
        head_dim: 128,
        block_size: 64,
        lengths: (0..40).map(|entry| 64 + entry * 389 % 1200).collect(),
        sink: None,
        seed: 7,
    };
    // The largest graph of the reference's cases: four times the slots of a ring of usual size.
    let many = Problem {
        heads: 2,
        head_dim: 16,
        block_size: 8,
        lengths: (0..256).map(|entry| 64 * 8 - entry % 8).collect(),
        ..problem.clone()
    };
    Scene {
        name: "paged_attention_production",
        summary: "40 entries with contexts of up to 1,263 positions, 16 heads of 128 columns",
        programs: vec![auto_program(), manual_program()],
        cases: vec![
            tiled("AUTO", "auto", problem.clone(), 16, false).block_dims(&[24]).heap_kib(2048),
            tiled("65,792 tasks", "auto", many, 2, false)
                .block_dims(&[24])
                .threads(&[1, 4])
                .heap_kib(16 << 10),
            tiled("MANUAL", "manual", problem, 8, false).block_dims(&[24]).heap_kib(2048),
        ],
    }
}
