//! Runs that are called and runs that are submitted, by several threads: one order, that of the calls.

use std::thread;

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::worker::{CallableHandle, Worker};
use protocol::{DataType, DeviceAddr};
use tests::workers::open;

use super::setting::{Held, PATIENCE, cell_at, config, note, noted, register, until};

/// Calls a run of `notes` and waits for it.
fn run_note(worker: &Worker, handle: &CallableHandle, state: DeviceAddr, number: u64) {
    let mut arguments = Arguments::new();
    let (data, dtype) = (TensorData::Device(state), DataType::Uint64);
    arguments.push_tensor(TensorArgument { data, dtype, shape: vec![1] }).unwrap();
    arguments.push_scalar(number).unwrap();
    worker.run(handle, &mut arguments, &config()).unwrap();
}

#[test]
fn calls_of_several_threads_and_submissions_keep_the_order_of_the_calls() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let bound = worker.bind(&handle, note(state, 0), &config()).unwrap();
    let held = Held::new(&worker);
    let mut inflight = Vec::new();
    thread::scope(|scope| {
        for number in 1..=36_u64 {
            match number % 4 {
                0 => {
                    let (worker, handle) = (&worker, &handle);
                    let _called = scope.spawn(move || run_note(worker, handle, state, number));
                }
                1 => {
                    let mut bound = bound.clone();
                    let _called = scope.spawn(move || {
                        bound.set_scalar(0, number).unwrap();
                        bound.run().unwrap();
                    });
                }
                2 => {
                    let mut bound = bound.clone();
                    bound.set_scalar(0, number).unwrap();
                    inflight.push(bound.submit().unwrap());
                }
                _ => {
                    let arguments = note(state, number);
                    inflight.push(worker.submit(&handle, arguments, &config()).unwrap());
                }
            }
            // The next one calls when this one is in the line.
            until(|| worker.memory_report().queue.runs as u64 == 1 + number);
        }
        held.release();
    });
    for completion in inflight {
        // It came before calls that have returned; its turn ended before that is told, which may take its time.
        assert!(completion.wait_for(PATIENCE).unwrap().is_ok());
    }
    assert_eq!(cell_at(&worker, state), noted(1..=36));
    assert_eq!(worker.memory_report().queue.high_water_runs, 37);
}

#[test]
fn copies_and_frees_come_after_what_was_submitted_and_before_what_comes_later() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let held = Held::new(&worker);
    let in_line = |count: usize| until(|| worker.memory_report().queue.runs == count);
    let first = worker.submit(&handle, note(state, 5), &config()).unwrap();
    thread::scope(|scope| {
        let copied = scope.spawn(|| cell_at(&worker, state));
        in_line(3);
        let copying = scope.spawn(|| worker.copy_in(state, &100_u64.to_le_bytes()));
        in_line(4);
        let second = worker.submit(&handle, note(state, 7), &config()).unwrap();
        let freeing = scope.spawn(|| worker.free(state));
        in_line(6);
        // After it is freed, the run finds no tensor there.
        let third = worker.submit(&handle, note(state, 9), &config()).unwrap();
        assert!(!copied.is_finished() && !copying.is_finished() && !freeing.is_finished());
        worker.allocate(64).expect("allocating waits for nothing");
        assert_eq!(worker.runs_in_flight(&handle), 3);
        held.release();
        first.wait().unwrap();
        assert_eq!(copied.join().unwrap(), 5);
        copying.join().unwrap().unwrap();
        second.wait().unwrap();
        freeing.join().unwrap().unwrap();
        let refused = third.wait().unwrap_err();
        assert!(matches!(refused, host_runner::run::RunError::Memory(_)), "{refused:?}");
    });
}

#[test]
fn registering_and_unregistering_do_not_wait_for_a_run_in_flight() {
    let worker = open();
    let held = Held::new(&worker);
    let in_flight = || assert!(!held.completion.is_done());
    let handle = register(&worker, "notes");
    in_flight();
    worker.unregister(&handle).unwrap();
    in_flight();
    drop(register(&worker, "adds"));
    in_flight();
    assert_eq!(worker.counters().unregistrations, 2);
    held.release();
}

#[test]
fn two_threads_that_register_at_once_get_ids_of_their_own_during_a_run() {
    let worker = open();
    let held = Held::new(&worker);
    // One id is that of the held run.
    let each = 200.min((worker.facts().unwrap().callable_ids - 1) / 2);
    let register_many = || -> Vec<_> {
        (0..each).map(|index| register(&worker, ["adds", "doubles"][index % 2])).collect()
    };
    let (mine, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(register_many);
        (register_many(), theirs.join().unwrap())
    });
    assert!(!held.completion.is_done(), "the run was in flight all the time");
    let mut ids: Vec<_> = mine.iter().chain(&theirs).map(|handle| handle.id().index()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=2 * each).collect::<Vec<_>>());
    assert_eq!(worker.counters().loads, 1 + 2 * each as u64);
    held.release();
    let input = super::setting::bytes_of(&[3]).into();
    for (index, handle) in mine.iter().chain(&theirs).enumerate().step_by(each / 4) {
        let times = 1 + (index % each % 2) as u64;
        let run = worker.submit(handle, super::setting::sum(&input, 4), &config()).unwrap();
        assert_eq!(super::setting::cells(run.wait(), 1), [3 * times + 4]);
    }
}
