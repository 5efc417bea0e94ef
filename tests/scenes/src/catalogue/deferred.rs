//! Tasks that complete later than their kernels: when a peer says so, or other tasks of the run.

use std::thread;

use host_runner::comm::CommGroup;

use crate::arguments::CaseArguments;
use crate::program::{Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};
use crate::stage::Stage;

/// Elements of the tensors.
const LENGTH: usize = 128;
/// Bytes of a window: a cache line for the counter, then the mailbox.
const WINDOW_BYTES: usize = 64 + LENGTH * size_of::<f32>();
/// Runs of each rank, one after the other; the counters go on counting.
const ROUNDS: u32 = 4;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let kernels = [
        aiv(0, "deferred_notify/kernels/produce.cpp"),
        aiv(1, "deferred_notify/kernels/notify.cpp"),
        aiv(2, "deferred_notify/kernels/wait.cpp"),
        aiv(3, "deferred_notify/kernels/consume.cpp"),
    ];
    vec![
        lanes(),
        Scene {
            name: "deferred_notify",
            summary: "two chips: producer, notification, deferred wait, consumer; result = out + 1",
            programs: vec![Program::new("ranks", "deferred_notify/orchestration.cpp", &kernels)],
            cases: vec![Case::own("two ranks", two_ranks).small().windows()],
        },
    ]
}

/// Runs both ranks at the same time, several rounds.
fn two_ranks(stage: &Stage<'_>) -> Result<u64, String> {
    let workers = [stage.open()?, stage.open()?];
    let group =
        CommGroup::new(&[&workers[0], &workers[1]], WINDOW_BYTES).map_err(|e| e.to_string())?;
    let mut ranks = Vec::new();
    for (worker, rank) in workers.iter().zip(0..) {
        let context = group.context(rank).map_err(|error| error.to_string())?;
        ranks.push((worker, stage.register(worker, "ranks")?, rank, context.raw()));
    }
    let mut tasks = 0;
    for round in 1..=ROUNDS {
        tasks += thread::scope(|scope| {
            let runs: Vec<_> = ranks
                .iter()
                .map(|(worker, handle, rank, context)| {
                    let passed = arguments(*rank, round).scalar(*context).scalar(round);
                    let expect = Expect::Values { tasks: 4 };
                    scope.spawn(move || {
                        let result = stage.run(worker, handle, &passed, &expect);
                        result.map_err(|error| format!("rank {rank}, round {round}: {error}"))
                    })
                })
                .collect();
            let ends = runs.into_iter().map(|run| run.join());
            let ends = ends.map(|end| end.map_err(|_| "a rank panicked".to_owned())?);
            ends.collect::<Result<Vec<u64>, String>>().map(|tasks| tasks.iter().sum::<u64>())
        })?;
    }
    Ok(tasks)
}

/// The input of a rank in a round.
fn input(rank: u32, round: u32, i: usize) -> f64 {
    f64::from(1000 * rank + 100 * round) + i as f64
}

/// The own output is 2 x + 1, the result is what the peer's output is, plus 1.
fn arguments(rank: u32, round: u32) -> CaseArguments {
    let of = |number: &dyn Fn(usize) -> f64| -> Vec<f32> {
        (0..LENGTH).map(|i| number(i) as f32).collect()
    };
    let length = [LENGTH as u32];
    CaseArguments::new()
        .input("in", &of(&|i| input(rank, round, i)), &length)
        .output("out", &of(&|i| 2.0 * input(rank, round, i) + 1.0), &length)
        .exactly()
        .output("result", &of(&|i| 2.0 * input(1 - rank, round, i) + 2.0), &length)
        .exactly()
}

/// Blocks on whole clusters, each core with a counter of its own.
fn lanes() -> Scene {
    let kernels = [
        aic(0, "deferred_notify/kernels/await_lane.cpp"),
        aiv(1, "deferred_notify/kernels/await_lane.cpp"),
        aiv(2, "deferred_notify/kernels/raise.cpp"),
        aiv(3, "deferred_notify/kernels/look.cpp"),
    ];
    let case = |blocks: u32| {
        let cores = 3 * blocks as usize;
        let expect = Expect::Values { tasks: cores as u64 + 2 };
        Case::new(format!("{blocks} blocks"), "lanes", expect, move || {
            let mut after = vec![0_u32; 16 * cores];
            after.iter_mut().step_by(16).for_each(|counter| *counter = 2);
            let before = vec![0; after.len()];
            CaseArguments::new()
                .inout("counters", &before, &after, &[after.len() as u32])
                .output("seen", &vec![2_u32; cores], &[cores as u32])
                .scalar(blocks)
        })
    };
    Scene {
        name: "deferred_lanes",
        summary: "a mixed task of several blocks, each core's part waits for a counter of its own",
        programs: vec![Program::new("lanes", "deferred_notify/lanes.cpp", &kernels)],
        cases: vec![case(2).small(), case(10)],
    }
}
