//! Devices that do not open, that are gone when a run comes, or that have forgotten a callable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use host_runner::device::{Device, DeviceError};
use host_runner::run::RunError;
use host_runner::worker::{DeviceStart, RegisterError, Worker, WorkerConfig, WorkerError};
use protocol::StatusCode;
use tests::spied_device::{SpiedDevice, open_worker};

use super::setting::{cells, config, expected_sum, note, register, sum};

#[test]
fn a_run_that_finds_its_device_gone_is_carried_out_on_a_fresh_one() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "adds");
    let run = || worker.submit(&handle, sum(&[0; 8].into(), 6), &config()).unwrap().wait();
    assert_eq!(cells(run(), 1), expected_sum(1, &[0], 6));
    opened.lock().unwrap()[0].lose();
    assert_eq!(cells(run(), 1), expected_sum(1, &[0], 6));
    assert_eq!((opened.lock().unwrap().len(), worker.losses()), (2, 1));
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs, counters.loads), (2, 0, 2));
    // A registration that finds it gone, too.
    opened.lock().unwrap()[1].lose();
    let other = register(&worker, "doubles");
    let run = worker.submit(&other, sum(&[1; 8].into(), 6), &config()).unwrap();
    assert_eq!(cells(run.wait(), 1), expected_sum(2, &[u64::from_le_bytes([1; 8])], 6));
    assert_eq!(worker.losses(), 2);
}

#[test]
fn a_run_with_memory_of_a_device_that_is_gone_is_refused() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    opened.lock().unwrap()[0].lose();
    let refused = worker.submit(&handle, note(state, 1), &config()).unwrap().wait();
    assert!(matches!(refused, Err(RunError::Memory(_))), "{refused:?}");
    assert!(matches!(worker.free(state), Err(DeviceError::Memory(_))));
    assert!(matches!(worker.copy_in(state, &[0]), Err(DeviceError::Memory(_))));
}

#[test]
fn what_the_executor_has_forgotten_is_loaded_again_and_the_record_follows() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "adds");
    let run = || worker.submit(&handle, sum(&[0; 8].into(), 6), &config()).unwrap().wait();
    assert_eq!(cells(run(), 1), [6]);
    let device = opened.lock().unwrap()[0].clone();
    for round in 1..=3 {
        device.unload_unseen(handle.id(), handle.generation()).unwrap();
        match run() {
            Err(RunError::Fault(fault)) => {
                assert_eq!(fault.code, Some(StatusCode::CallableNotLoaded), "{fault}");
            }
            other => panic!("{other:?}"),
        }
        // What stood where the kernels were is something else now.
        let others: Vec<_> = (0..8).map(|_| worker.allocate(4096).unwrap()).collect();
        for _ in 0..2 {
            assert_eq!(cells(run(), 1), [6]);
        }
        others.into_iter().for_each(|address| worker.free(address).unwrap());
        assert_eq!(worker.counters().loads, 1 + round);
    }
}

#[test]
fn a_device_that_is_lost_while_a_run_cleans_up_is_replaced_for_whoever_comes_next() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "adds");
    let device = opened.lock().unwrap()[0].clone();
    device.unload_unseen(handle.id(), handle.generation()).unwrap();
    device.hang_unloading();
    let run = || worker.submit(&handle, sum(&[0; 8].into(), 6), &config()).unwrap().wait();
    assert!(matches!(run(), Err(RunError::Fault(_))));
    worker.allocate(8).expect("on a fresh device");
    assert_eq!((opened.lock().unwrap().len(), worker.losses()), (2, 1));
    assert_eq!(cells(run(), 1), [6]);
}

#[test]
fn a_device_that_does_not_open_is_an_error_and_the_next_attempt_may_succeed() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let opener = || {
        let attempts = Arc::clone(&attempts);
        move || -> Result<Box<dyn Device>, DeviceError> {
            if attempts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                let source = io::Error::from(io::ErrorKind::ResourceBusy);
                return Err(DeviceError::System { what: "a device of the test", source });
            }
            Ok(Box::new(SpiedDevice::open()?))
        }
    };
    let failed = Worker::open_on(WorkerConfig::default(), opener()).unwrap_err();
    let WorkerError::Device(DeviceError::System { what, .. }) = failed else { panic!("{failed}") };
    assert_eq!(what, "a device of the test");
    attempts.store(0, Ordering::SeqCst);
    let config = WorkerConfig::default().with_device_start(DeviceStart::AtFirstUse);
    let worker = Worker::open_on(config, opener()).unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 0);
    let callable = tests::sources::callable("runs", "adds", tests::sources::cell_kernels());
    let refused = worker.register(&callable).unwrap_err();
    assert!(matches!(&refused, RegisterError::Device(DeviceError::System { .. })), "{refused:?}");
    let handle = worker.register(&callable).unwrap();
    assert_eq!((handle.id().index(), attempts.load(Ordering::SeqCst)), (0, 2));
    assert_eq!((worker.losses(), worker.counters().registrations), (0, 1));
}
