//! Many runs of one registration, with other numbers and other contexts each time.

use std::cell::OnceCell;

use super::{CacheType, Problem, Rank, auto_program, small};
use crate::arguments::CaseArguments;
use crate::scene::{Case, Expect, Scene};
use crate::stage::Stage;

/// Runs with numbers of their own.
const ROUNDS: usize = 10;
/// Heads to a task.
const TILE: usize = 2;

/// Outputs are as before in each round, so nothing of an earlier one helps a later one. After all
/// of them the first is run again.
pub(super) fn scene() -> Scene {
    let case = |name: &str, cache_type| {
        // Computed when the case is run, once.
        let rounds: OnceCell<Vec<(CaseArguments, Expect)>> = OnceCell::new();
        let all_rounds = move || (0..ROUNDS).map(|number| round(cache_type, number)).collect();
        Case::own(name, move |stage| run(stage, rounds.get_or_init(all_rounds))).small()
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

/// The arguments of a round and what it must come to.
fn round(cache_type: CacheType, number: usize) -> (CaseArguments, Expect) {
    let lengths = (1..=3).map(|entry| (number * 7 + entry * 11) % 30).collect();
    let problem = Problem { seed: 100 + number as u64, lengths, ..small(cache_type) };
    let arguments = problem.arguments(Rank::Three).scalar(TILE as u32).scalar(0_u32);
    (arguments, problem.tasks(TILE, 1))
}

fn run(stage: &Stage<'_>, rounds: &[(CaseArguments, Expect)]) -> Result<u64, String> {
    let worker = stage.open()?;
    let handle = stage.register(&worker, "auto")?;
    let mut tasks = 0;
    for (index, (passed, expect)) in rounds.iter().chain(rounds.first()).enumerate() {
        let ran = stage.run(&worker, &handle, passed, expect);
        tasks += ran.map_err(|error| format!("round {}: {error}", index + 1))?;
    }
    match worker.counters().loads {
        1 => Ok(tasks),
        loads => Err(format!("{loads} loads of one registration")),
    }
}
