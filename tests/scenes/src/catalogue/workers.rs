//! Several runs of one callable, several callables of one worker, several workers of one process.

use std::thread;

use host_runner::worker::{CallableHandle, Worker};
use protocol::ChipName;

use super::vector::{self, Elements};
use crate::arguments::CaseArguments;
use crate::scene::{Case, Expect, Scene};
use crate::stage::Stage;

/// Runs of each worker of a pair.
const ROUNDS: u32 = 10;

/// What vector graphs submit.
const EXPECT: Expect = Expect::Values { tasks: 5 };

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let both = || vec![vector::program("vector"), vector::swapped("swapped")];
    vec![
        Scene {
            name: "orch_so_cache",
            summary: "several cases of one callable load it once; registered anew, once more",
            programs: vec![vector::program("vector")],
            cases: vec![Case::own("loads", loads).small()],
        },
        Scene {
            name: "same_func_ids",
            summary: "two callables that give the same func_ids to different kernels, in turns",
            programs: both(),
            cases: vec![Case::own("in turns", in_turns).small()],
        },
        Scene {
            name: "dual_chip",
            summary: "two workers on two host threads, of one chip and of both",
            programs: both(),
            cases: vec![
                Case::own("one chip twice", |stage| pair(stage, stage)),
                Case::own("both chips", |stage| {
                    let other = match stage.ensemble.chip {
                        ChipName::A2a3 => ChipName::A5,
                        ChipName::A5 => ChipName::A2a3,
                    };
                    let ensemble =
                        stage.ensemble.on(other).map_err(|error| format!("{error:#}"))?;
                    // Threads that both chips have.
                    let mut setting = stage.setting;
                    setting.threads = setting.threads.min(4);
                    pair(stage, &Stage { ensemble: &ensemble, setting })
                })
                .block_dims(&[24]),
            ],
        },
    ]
}

/// Inputs that differ from turn to turn.
fn elements(turn: u32) -> Elements {
    Box::new(move |i| ((i % 50) as f32 - 20.0, turn as f32 + 0.5))
}

/// Three cases of one callable.
fn loads(stage: &Stage<'_>) -> Result<u64, String> {
    let worker = stage.open()?;
    let mut tasks = 0;
    for registration in 1..=2 {
        let handle = stage.register(&worker, "vector")?;
        for turn in 0..3 {
            tasks += stage.run(&worker, &handle, &vector::arguments(elements(turn)), &EXPECT)?;
            let loads = worker.counters().loads;
            if loads != registration {
                return Err(format!("loaded {loads} times in registration {registration}"));
            }
        }
        worker.unregister(&handle).map_err(|error| error.to_string())?;
    }
    Ok(tasks)
}

/// Two callables on one worker.
fn in_turns(stage: &Stage<'_>) -> Result<u64, String> {
    let worker = stage.open()?;
    let first = stage.register(&worker, "vector")?;
    let second = stage.register(&worker, "swapped")?;
    let mut tasks = 0;
    for turn in 0..4 {
        tasks += stage.run(&worker, &first, &vector::arguments(elements(turn)), &EXPECT)?;
        let swapped = vector::swapped_arguments(elements(turn));
        tasks += stage.run(&worker, &second, &swapped, &EXPECT)?;
    }
    Ok(tasks)
}

/// Two workers that run different callables at the same time.
fn pair(left: &Stage<'_>, right: &Stage<'_>) -> Result<u64, String> {
    let (left_worker, right_worker) = (left.open()?, right.open()?);
    let left_handle = left.register(&left_worker, "vector")?;
    let right_handle = right.register(&right_worker, "swapped")?;
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            rounds(right, &right_worker, &right_handle, |turn| {
                vector::swapped_arguments(elements(turn))
            })
        });
        let tasks =
            rounds(left, &left_worker, &left_handle, |turn| vector::arguments(elements(turn)));
        let others = other.join().map_err(|_| "the other thread panicked".to_owned())?;
        Ok(tasks? + others?)
    })
}

fn rounds(
    stage: &Stage<'_>,
    worker: &Worker,
    handle: &CallableHandle,
    arguments: impl Fn(u32) -> CaseArguments,
) -> Result<u64, String> {
    (0..ROUNDS).map(|turn| stage.run(worker, handle, &arguments(turn), &EXPECT)).sum()
}
