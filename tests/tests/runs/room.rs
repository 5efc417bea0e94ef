//! Bytes that runs in flight may hold: what is refused, what waits, and when there is room again.

use std::thread;
use std::time::{Duration, Instant};

use host_runner::arguments::OwnedArguments;
use host_runner::worker::{SubmitRefusal, Worker, WorkerConfig};

use super::setting::{Held, PATIENCE, bytes_of, cells, config, register, sum, until};

/// Bytes of the record of arguments without tensors: `ChipStorageTaskArgs` (spec callable §1.4).
const RECORD_BYTES: u64 = 3592;

/// What the held run takes: one cell.
const HELD_BYTES: u64 = RECORD_BYTES + 8;

/// What the arguments of [`large`] hold: 400 cells twice.
const LARGE_BYTES: u64 = RECORD_BYTES + 16 * 400;

fn large() -> OwnedArguments {
    let arguments = sum(&bytes_of(&[1; 400]).into(), 1);
    assert_eq!(arguments.host_bytes(), LARGE_BYTES);
    arguments
}

/// A worker with room for the held run and for this many bytes more.
fn open(bytes: u64) -> Worker {
    let config = WorkerConfig::default().with_in_flight_bytes(HELD_BYTES + bytes);
    Worker::open(config).unwrap()
}

#[test]
fn what_has_no_room_is_refused_with_numbers_and_comes_back_unchanged() {
    let worker = open(25_000);
    let held = Held::new(&worker);
    let handle = register(&worker, "adds");
    let submit = |arguments| worker.submit(&handle, arguments, &config());
    let inflight = [(); 2].map(|()| submit(large()).unwrap());
    let refused = submit(large()).unwrap_err();
    let (held_now, limit) = (HELD_BYTES + 2 * LARGE_BYTES, HELD_BYTES + 25_000);
    match refused.why {
        SubmitRefusal::Full { need: LARGE_BYTES, held, limit: of } => {
            assert_eq!((held, of), (held_now, limit));
        }
        why => panic!("{why:?}"),
    }
    for part in ["9992 bytes", &held_now.to_string(), &limit.to_string(), "wait for one of them"] {
        assert!(refused.to_string().contains(part), "{part:?} is missing in: {refused}");
    }
    assert_eq!(*refused.arguments, large());
    let queue = worker.memory_report().queue;
    assert_eq!((queue.runs, queue.bytes, queue.limit_bytes), (3, held_now, limit));
    assert_eq!(worker.runs_in_flight(&handle), 2, "what is refused keeps no lease");

    held.release();
    for completion in inflight {
        completion.wait().unwrap();
    }
    let queue = worker.memory_report().queue;
    assert_eq!((queue.runs, queue.bytes, queue.high_water_bytes), (0, 0, held_now));
    assert_eq!(cells(submit(*refused.arguments).unwrap().wait(), 1)[0], 2);
}

#[test]
fn what_is_larger_than_the_limit_is_refused_though_nothing_is_in_flight() {
    let worker = Worker::open(WorkerConfig::default().with_in_flight_bytes(9_991)).unwrap();
    let handle = register(&worker, "adds");
    let wait = Duration::from_secs(3600);
    for refused in [
        worker.submit(&handle, large(), &config()),
        worker.submit_within(&handle, large(), &config(), wait),
    ] {
        let refused = refused.unwrap_err();
        let SubmitRefusal::TooLarge { need: LARGE_BYTES, limit: 9_991 } = refused.why else {
            panic!("{refused:?}")
        };
        assert_eq!(*refused.arguments, large());
    }
}

#[test]
fn who_waits_for_room_gets_it_when_a_run_ends() {
    let worker = open(10_000);
    let held = Held::new(&worker);
    let handle = register(&worker, "adds");
    let submit = |limit| worker.submit_within(&handle, large(), &config(), limit);
    let first = submit(Duration::ZERO).unwrap();
    let start = Instant::now();
    let refused = submit(Duration::from_millis(50)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(matches!(refused.why, SubmitRefusal::Full { need: LARGE_BYTES, .. }), "{refused:?}");
    assert_eq!(*refused.arguments, large());
    thread::scope(|scope| {
        let waiting = [(); 3].map(|()| scope.spawn(|| submit(PATIENCE).unwrap().wait().unwrap()));
        thread::sleep(Duration::from_millis(30));
        assert!(waiting.iter().all(|each| !each.is_finished()));
        held.release();
        for each in waiting {
            assert_eq!(cells(Ok(each.join().unwrap()), 1)[0], 2);
        }
    });
    first.wait().unwrap();
    assert!(worker.memory_report().queue.high_water_bytes <= HELD_BYTES + 10_000);
}

#[test]
fn cancelling_makes_room_at_once() {
    let worker = open(10_000);
    let held = Held::new(&worker);
    let handle = register(&worker, "adds");
    for _ in 0..3 {
        let first = worker.submit(&handle, large(), &config()).unwrap();
        assert!(worker.submit(&handle, large(), &config()).is_err());
        assert!(first.cancel());
        let second = worker.submit(&handle, large(), &config()).unwrap();
        thread::scope(|scope| {
            let within = || worker.submit_within(&handle, large(), &config(), PATIENCE);
            let waiting = scope.spawn(move || within().unwrap().cancel());
            thread::sleep(Duration::from_millis(10));
            assert!(!waiting.is_finished());
            assert!(second.cancel());
            assert!(waiting.join().unwrap());
        });
    }
    until(|| worker.memory_report().queue.bytes == HELD_BYTES);
    held.release();
}

#[test]
fn an_input_that_runs_share_is_there_once_and_counts_for_each() {
    let worker = open(500_000);
    let held = Held::new(&worker);
    let handle = register(&worker, "notes");
    let (input, state) = (vec![7; 100_000].into(), worker.allocate(8).unwrap());
    let with_input = || {
        let mut arguments = OwnedArguments::new();
        let dtype = protocol::DataType::Uint64;
        arguments.push_device(state, dtype, &[1]).unwrap();
        let data = host_runner::arguments::OwnedData::In(std::sync::Arc::clone(&input));
        arguments.push_tensor(data, protocol::DataType::Uint8, &[100_000]).unwrap();
        arguments.push_scalar(1).unwrap();
        arguments
    };
    let mut accepted = Vec::new();
    while let Ok(completion) = worker.submit(&handle, with_input(), &config()) {
        accepted.push(completion);
    }
    assert_eq!(accepted.len(), 4, "of 103592 bytes each");
    assert_eq!(std::sync::Arc::strong_count(&input), 5, "one here, and one in each");
    held.release();
    for completion in accepted {
        completion.wait().unwrap();
    }
    assert_eq!(std::sync::Arc::strong_count(&input), 1);
}
