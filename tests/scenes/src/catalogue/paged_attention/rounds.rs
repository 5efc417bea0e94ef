//! Many runs of one registration, with other numbers and other contexts each time.

use std::cell::OnceCell;

use super::{CacheType, Problem, Rank, auto_program, small};
use crate::arguments::CaseArguments;
use crate::scene::{Case, Expect, Scene};
use crate::stage::Stage;

/// Runs with numbers of their own.
const ROUNDS: u64 = 10;
/// Heads to a task.
const TILE: usize = 2;

/// The arguments of a round and what it must come to.
type Round = (CaseArguments, u64);

/// Outputs are as before in each round, so nothing of an earlier one helps a later one. After all
/// of them the first is run again.
pub(super) fn scene() -> Scene {
    let case = |name: &str, cache_type| {
        let rounds: OnceCell<Vec<Round>> = OnceCell::new();
        Case::own(name, move |stage| {
            run(
                stage,
                rounds
                    .get_or_init(|| (0..ROUNDS).map(|round| numbers(cache_type, round)).collect()),
            )
        })
        .small()
    };
    Scene {
        name: "paged_attention_rounds",
        summary: "ten runs of one registration with other numbers each, outputs restored",
        programs: vec![auto_program()],
        cases: vec![
            case("bfloat16", CacheType::Bfloat16).block_dims(&[24]),
            case("float32", CacheType::Float32).block_dims(&[3]),
        ],
    }
}

fn numbers(cache_type: CacheType, round: u64) -> Round {
    let lengths = (1..=3).map(|entry| (round as usize * 7 + entry * 11) % 30).collect();
    let problem = Problem { seed: 100 + round, lengths, ..small(cache_type) };
    let Expect::Values { tasks } = problem.tasks(TILE, 1) else { return Round::default() };
    (problem.arguments(Rank::Three).scalar(TILE as u32).scalar(0_u32), tasks)
}

fn run(stage: &Stage<'_>, rounds: &[Round]) -> Result<u64, String> {
    let worker = stage.open()?;
    let handle = worker.register(stage.callable("auto")?).map_err(|error| error.to_string())?;
    let mut sum = 0;
    for (number, (passed, tasks)) in rounds.iter().chain(rounds.first()).enumerate() {
        let in_round = |error: String| format!("round {}: {error}", number + 1);
        let mut buffers = passed.buffers();
        let report = {
            let mut arguments = passed.borrow(&mut buffers).map_err(|error| error.to_string())?;
            worker
                .run(&handle, &mut arguments, &stage.setting.config())
                .map_err(|error| in_round(error.to_string()))?
        };
        passed.check(&buffers).map_err(in_round)?;
        if report.tasks != *tasks {
            return Err(in_round(format!("{} tasks, expected {tasks}", report.tasks)));
        }
        sum += tasks;
    }
    match worker.counters().loads {
        1 => Ok(sum),
        loads => Err(format!("{loads} loads of one registration")),
    }
}
