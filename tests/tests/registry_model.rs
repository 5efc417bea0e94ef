//! Random sequences of what a user does with a worker, against a simple model of it: after each
//! step, the answer, the outputs, the memory in use and the counters are those of the model. And
//! several users at once, who know only what must hold for each of them.
//!
//! | file | what |
//! |---|---|
//! | `steps` | what a user may do, as random steps |
//! | `model` | what a worker is, without its device, its code and its threads |
//! | `bench`, `in_flight`, `bound`, `allocations`, `memory` | a worker beside its model |
//! | `last_run` | the order of a run and the unregistration that waits for it |
//! | `users` | several users at once |
//! | `programs`, `calls`, `answers` | what is registered and run, and what comes of it |

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use bench::Bench;
use programs::Flaw;

#[path = "registry_model/allocations.rs"]
mod allocations;
#[path = "registry_model/answers.rs"]
mod answers;
#[path = "registry_model/bench.rs"]
mod bench;
#[path = "registry_model/bound.rs"]
mod bound;
#[path = "registry_model/calls.rs"]
mod calls;
#[path = "registry_model/in_flight.rs"]
mod in_flight;
#[path = "registry_model/last_run.rs"]
mod last_run;
#[path = "registry_model/memory.rs"]
mod memory;
#[path = "registry_model/model.rs"]
mod model;
#[path = "registry_model/programs.rs"]
mod programs;
#[path = "registry_model/steps.rs"]
mod steps;
#[path = "registry_model/users.rs"]
mod users;

#[test]
fn a_worker_does_what_its_model_does() {
    let seen = RefCell::new(BTreeSet::new());
    // The same sequences each time, so that a failure comes again.
    let config = Config {
        cases: 100,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        max_shrink_iters: 500,
        max_shrink_time: 15_000,
        ..Config::default()
    };
    let sequences = vec(steps::step(), 1..100);
    let result = TestRunner::new(config).run(&sequences, |steps| {
        let mut bench = Bench::new(&seen);
        steps.iter().for_each(|step| bench.take(step));
        bench.finish();
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner();
    let missing: Vec<_> = happenings().into_iter().filter(|each| !seen.contains(each)).collect();
    assert_eq!(missing, Vec::<String>::new(), "the sequences are not what they should be");
}

/// What must have happened in the sequences.
fn happenings() -> Vec<String> {
    let faults = ["ExplicitFatal", "EntryException", "KernelMissing", "KernelException"];
    let faults =
        ["run", "submit"].map(|way| faults.map(|fault| format!("{way}: Fault({fault})"))).concat();
    let ends = ["Done", "Stale", "OutOfRange", "Lost"]
        .map(|end| ["run", "submit"].map(|way| format!("{way}: {end}")))
        .concat();
    let others = [
        "run: Done, on the device",
        "submit: Cancelled",
        "submit: NoRoom",
        "cancel: true",
        "cancel: false",
        "wait for the last",
        "wait for another",
        "bound: Done",
        "bound: Fault",
        "bound: Stale",
        "bound: submitted",
        "bind: Stale",
        "unregister: Done",
        "unregister: Done, after runs",
        "unregister: Lost",
        "unregister: Stale",
        "begin to unregister",
        "begin to unregister: waits",
        "unregistered: Done",
        "unregistered: Lost",
        "drop: Done",
        "drop: Done, before runs",
        "drop: Stale",
        "run beyond: Settings",
        "run beyond: Stale",
        "register: true",
        "register: Full",
        "register as: true",
        "register as: InUse",
        "copy that fits: true",
        "copy that fits: false",
        "free",
        "foreign",
    ];
    let flaws = Flaw::ALL.map(|flaw| format!("register: {flaw:?}"));
    let others = others.map(str::to_owned);
    [&faults[..], &ends, &others, &flaws].concat()
}
