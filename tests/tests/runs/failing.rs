//! A run that fails in the middle of others: they go on, on a fresh device if there must be one.

use host_runner::device::MemoryError;
use host_runner::run::RunError;
use protocol::StatusCode;
use tests::flag::Flag;
use tests::workers::{SENTINEL, open};

use super::setting::{
    Held, cell_at, cells, config, expected_sum, faulty, note, noted, register, register_faulty,
    short, sum,
};

#[test]
fn a_fault_in_the_middle_is_that_runs_own() {
    let worker = open();
    let good = register(&worker, "adds");
    let broken = ["fatal", "throws_error", "missing_kernel"].map(|it| register_faulty(&worker, it));
    let codes = [StatusCode::ExplicitFatal, StatusCode::EntryException, StatusCode::KernelMissing];
    let (held, flag) = (Held::new(&worker), Flag::new());
    let mut inflight = Vec::new();
    for number in 0..12_u64 {
        let handle = broken.get(number as usize % 4).unwrap_or(&good);
        let is_good = number % 4 == 3;
        let arguments = if is_good { sum(&[0; 8].into(), number) } else { faulty(&flag) };
        inflight.push(worker.submit(handle, arguments, &config()).unwrap());
    }
    held.release();
    for (number, completion) in (0_u64..).zip(inflight) {
        match completion.wait() {
            Ok(output) => {
                assert_eq!(number % 4, 3);
                assert_eq!(output.arguments.elements::<u64>(1), Some(vec![number]));
            }
            Err(RunError::Fault(fault)) => {
                assert_eq!(fault.code, Some(codes[number as usize % 4]), "{fault}");
            }
            other => panic!("{other:?}"),
        }
    }
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs, counters.loads), (4, 9, 5));
}

#[test]
fn a_device_that_is_lost_in_the_middle_costs_one_run_and_what_was_on_it() {
    let worker = open();
    let good = register(&worker, "adds");
    let notes = register(&worker, "notes");
    let endless = register_faulty(&worker, "waits_for_flag");
    let state = worker.allocate(8).unwrap();
    let (held, flag) = (Held::new(&worker), Flag::new());
    let input: std::sync::Arc<[u8]> = [0; 8].into();
    let before = worker.submit(&notes, note(state, 8), &config()).unwrap();
    let lost = worker.submit(&endless, faulty(&flag), &short()).unwrap();
    let after = [3, 4].map(|first| worker.submit(&good, sum(&input, first), &config()).unwrap());
    let of_old_device = worker.submit(&notes, note(state, 9), &config()).unwrap();
    let last = worker.submit(&good, sum(&input, 5), &config()).unwrap();
    held.release();
    before.wait().unwrap();
    assert!(matches!(lost.wait(), Err(RunError::DeviceLost(_))));
    for (completion, first) in after.into_iter().zip([3, 4]) {
        assert_eq!(cells(completion.wait(), 1), expected_sum(1, &[0], first));
    }
    match of_old_device.wait() {
        Err(RunError::Memory(MemoryError::OutOfRange { address, bytes: 8 })) => {
            assert_eq!(address, state);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cells(last.wait(), 1), [5]);
    assert_eq!((worker.losses(), worker.counters().failed_runs), (1, 2));
    // Memory of the fresh device is as good as that of the first.
    let state = worker.allocate(8).unwrap();
    worker.submit(&notes, note(state, 2), &config()).unwrap().wait().unwrap();
    assert_eq!(cell_at(&worker, state), noted([2]));
    // And what hung is as good as its flag.
    flag.set();
    let again = worker.submit(&endless, faulty(&flag), &config()).unwrap().wait();
    assert_eq!(cells(again, 0), [1]);
    assert_ne!(SENTINEL, 1);
}

#[test]
fn unregistering_what_lost_the_device_waits_for_the_end_of_that_run_only() {
    let worker = open();
    let (endless, flag) = (register_faulty(&worker, "waits_for_flag"), Flag::new());
    let lost = worker.submit(&endless, faulty(&flag), &short()).unwrap();
    worker.unregister(&endless).unwrap();
    assert!(matches!(lost.wait(), Err(RunError::DeviceLost(_))));
    let good = register(&worker, "adds");
    assert_eq!(good.id(), endless.id());
    let run = worker.submit(&good, sum(&[0; 8].into(), 5), &config()).unwrap();
    assert_eq!(cells(run.wait(), 1), [5]);
}
