//! Bound calls: many runs of arguments that change a little.

use std::sync::Arc;
use std::thread;

use host_runner::arguments::{ArgumentsError, OwnedArguments, OwnedData};
use host_runner::run::RunError;
use host_runner::worker::{CallableHandle, SubmitRefusal, UnregisterError, Worker};
use tests::workers::open;

use super::setting::{Held, bytes_of, cells, config, expected_sum, register, sum};

const CELLS: u32 = 16;

/// Arguments of `mixes`: input, state, output; first, constant.
fn mixed(input: &[u64]) -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    arguments.push_input(input, &[CELLS]).unwrap();
    arguments.push_inout(&[0_u64; CELLS as usize], &[CELLS]).unwrap();
    arguments.push_output::<u64>(&[CELLS]).unwrap();
    arguments.push_scalar(0).unwrap();
    arguments.push_scalar(0).unwrap();
    arguments
}

fn input_of(number: u64) -> Vec<u64> {
    (0..u64::from(CELLS)).map(|i| number * 1_000_003 + i * i).collect()
}

#[test]
fn a_thousand_runs_with_other_scalars_and_tensors_give_what_they_should() {
    let worker = open();
    let handle = register(&worker, "mixes");
    let mut input = input_of(0);
    let mut call = worker.bind(&handle, mixed(&input), &config()).unwrap();
    let mut state = vec![0_u64; CELLS as usize];
    let mut usage = None;
    for number in 0..1000_u64 {
        if number % 7 == 3 {
            input = input_of(number);
            call.set_tensor(0, OwnedData::In(bytes_of(&input).into())).unwrap();
        }
        if number % 50 == 49 {
            state = input_of(number + 1);
            call.set_tensor(1, OwnedData::InOut(bytes_of(&state))).unwrap();
        }
        call.set_scalar(0, number * number).unwrap();
        call.set_scalar(1, number).unwrap();
        let report = call.run().unwrap();
        assert_eq!(report.tasks, 3);
        for (cell, x) in state.iter_mut().zip(&input) {
            *cell = cell.wrapping_mul(3).wrapping_add(x + number);
        }
        let arguments = call.arguments();
        assert_eq!(arguments.elements::<u64>(1).as_ref(), Some(&state), "run {number}");
        let output = expected_sum(1, &input, number * number);
        assert_eq!(arguments.elements::<u64>(2), Some(output), "run {number}");
        assert_eq!(*usage.get_or_insert(worker.usage()), worker.usage());
    }
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.loads, counters.aicpu_dlopen_count), (1000, 1, 1));
}

#[test]
fn submissions_of_a_bound_call_take_its_arguments_as_they_are_then() {
    let worker = open();
    let handle = register(&worker, "adds");
    let input: Arc<[u8]> = bytes_of(&[10, 20]).into();
    let mut call = worker.bind(&handle, sum(&input, 0), &config()).unwrap();
    let held = Held::new(&worker);
    let mut inflight = Vec::new();
    for first in 0..50 {
        call.set_scalar(0, first).unwrap();
        inflight.push(call.submit().unwrap());
    }
    call.set_tensor(0, OwnedData::In(bytes_of(&[1, 1]).into())).unwrap();
    assert_eq!(Arc::strong_count(&input), 51, "shared, not copied");
    held.release();
    for (first, completion) in (0..).zip(inflight) {
        assert_eq!(cells(completion.wait(), 1), [10 + first, 21 + first]);
    }
    assert_eq!(call.run().unwrap().tasks, 2);
    assert_eq!(call.arguments().elements::<u64>(1), Some(vec![50, 51]));
}

#[test]
fn tensors_move_between_host_and_device() {
    let worker = open();
    let handle = register(&worker, "adds");
    let mut call = worker.bind(&handle, sum(&bytes_of(&[1, 2]).into(), 5), &config()).unwrap();
    call.run().unwrap();
    assert_eq!(call.arguments().elements::<u64>(1), Some(vec![6, 8]));
    let output = worker.allocate(16).unwrap();
    call.set_tensor(1, OwnedData::Device(output)).unwrap();
    call.run().unwrap();
    assert_eq!(call.arguments().elements::<u64>(1), None, "it is on the device");
    let mut back = [0; 16];
    worker.copy_out(&mut back, output).unwrap();
    assert_eq!(back.as_slice(), bytes_of(&[6, 8]));
    // Freed, it is refused; and exchanged for host memory, all is well.
    worker.free(output).unwrap();
    assert!(matches!(call.run(), Err(RunError::Memory(_))));
    call.set_tensor(1, OwnedData::Out(vec![0xFF; 16])).unwrap();
    call.run().unwrap();
    assert_eq!(call.arguments().elements::<u64>(1), Some(vec![6, 8]));
    let short = call.set_tensor(1, OwnedData::Out(vec![0; 15]));
    assert!(matches!(short, Err(ArgumentsError::Length { index: 1, need: 16, have: 15, .. })));
    let missing = call.set_scalar(1, 0);
    assert_eq!(missing, Err(ArgumentsError::NoSuchArgument { what: "scalar", index: 1 }));
}

#[test]
fn an_unregistration_does_not_wait_for_a_bound_call_and_makes_it_stale() {
    let worker = open();
    let handle = register(&worker, "adds");
    let mut call = worker.bind(&handle, sum(&[0; 8].into(), 1), &config()).unwrap();
    call.run().unwrap();
    let before = call.arguments().clone();
    worker.unregister(&handle).unwrap();
    assert_stale(&worker, &handle, &mut call);
    assert_eq!(call.arguments(), &before, "refused runs change nothing");
    // Also where another callable has the id.
    let next = register(&worker, "adds");
    assert_eq!((next.id(), next.generation()), (handle.id(), 2));
    assert_stale(&worker, &handle, &mut call);
}

fn assert_stale(
    worker: &Worker,
    handle: &CallableHandle,
    call: &mut host_runner::worker::BoundCall,
) {
    let stale = |error: &RunError| matches!(error, RunError::StaleCallable(it) if it.id == handle.id() && it.generation == 1);
    assert!(stale(&call.run().unwrap_err()));
    let refused = call.submit().unwrap_err();
    let SubmitRefusal::Run(why) = &refused.why else { panic!("{refused:?}") };
    assert!(stale(why));
    assert_eq!(&*refused.arguments, call.arguments());
    let bound = worker.bind(handle, call.arguments().clone(), &config());
    assert!(stale(&bound.unwrap_err()));
    let again = worker.unregister(call.handle());
    assert!(matches!(again, Err(UnregisterError::StaleCallable(_))), "{again:?}");
}

#[test]
fn a_bound_call_keeps_its_callable_and_is_used_from_any_thread() {
    let worker = open();
    let call = {
        let handle = register(&worker, "adds");
        worker.bind(&handle, sum(&bytes_of(&[7]).into(), 0), &config()).unwrap()
    };
    thread::scope(|scope| {
        for first in [100, 200, 300] {
            let mut call = call.clone();
            scope.spawn(move || {
                for step in 0..20 {
                    call.set_scalar(0, first + step).unwrap();
                    call.run().unwrap();
                    assert_eq!(call.arguments().elements(1), Some(vec![7 + first + step]));
                }
            });
        }
    });
    assert_eq!(worker.counters().unregistrations, 0);
    drop(call);
    assert_eq!(worker.counters().unregistrations, 1, "with the last handle");
}

#[test]
fn handles_of_other_workers_are_refused_everywhere() {
    let (worker, other) = (open(), open());
    let handle = register(&other, "adds");
    let arguments = sum(&[0; 8].into(), 1);
    let bound = worker.bind(&handle, arguments.clone(), &config());
    assert!(matches!(bound, Err(RunError::ForeignHandle)));
    for refused in [
        worker.submit(&handle, arguments.clone(), &config()),
        worker.submit_within(&handle, arguments.clone(), &config(), super::setting::PATIENCE),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused.why, SubmitRefusal::Run(RunError::ForeignHandle)));
        assert_eq!(*refused.arguments, arguments);
    }
    assert_eq!(worker.begin_unregister(&handle).map(drop), Err(UnregisterError::ForeignHandle));
}
