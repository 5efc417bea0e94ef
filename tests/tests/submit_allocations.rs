//! A bound call is submitted and waited for without allocating anything.
//!
//! Alone in its program: it counts what the whole process allocates.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::collections::VecDeque;

use host_runner::run::RunConfig;
use tests::allocations::Counting;
use tests::workers::{open, register_mixes, threads};

#[global_allocator]
static ALLOCATIONS: Counting = Counting::new();

#[test]
fn submitting_a_bound_call_allocates_nothing_once_as_many_were_in_flight() {
    let worker = open();
    let (handle, arguments) = register_mixes(&worker);
    let config = RunConfig { block_dim: 3, ..threads(4) };
    let mut call = worker.bind(&handle, arguments, &config).unwrap();
    let mut in_flight = VecDeque::with_capacity(16);
    // The deepest first: who carries a run out may be about to give its memory back when the next one is submitted.
    for (depth, runs) in [(16, 100), (1, 300), (8, 300)] {
        let before = ALLOCATIONS.count();
        for number in 0..runs {
            call.set_scalar(0, number).unwrap();
            in_flight.push_back((number, call.submit().unwrap()));
            if in_flight.len() == depth {
                let (number, completion) = in_flight.pop_front().unwrap();
                let output = completion.wait().unwrap();
                let bytes = output.arguments.tensors()[2].host_bytes().unwrap();
                assert_eq!(bytes[..8], (7 + number).to_le_bytes());
            }
        }
        in_flight.drain(..).for_each(|(_, completion)| drop(completion.wait().unwrap()));
        let of_runs = ALLOCATIONS.count() - before;
        assert!(depth == 16 || of_runs == 0, "{of_runs} in {runs} runs, {depth} in flight");
    }
}
