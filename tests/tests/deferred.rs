//! Deferred completion on the simulator, with kernels as users write them.
//!
//! Counters are raised by kernels of the same run, by a host thread while the run is in flight, and
//! by another device.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "deferred/faults.rs"]
mod faults;
#[path = "deferred/setting.rs"]
mod setting;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::{CompletionType, MAX_DEFERRED_CONDITIONS, StatusCode};
use setting::{
    Counter, PLATFORMS, address, counters, fails, flood, on_every_chip, run, waiting, with_entry,
};
use tests::workers::{AICPU_THREADS, Cells, SENTINEL, threads};

#[test]
fn a_consumer_comes_after_the_notifications_its_producer_waits_for() {
    on_every_chip("notified_by_tasks", |(worker, handle), aicpu_threads| {
        for _ in 0..3 {
            let counters = counters(1);
            let cells = run(worker, handle, 1, &[address(counters)], &threads(aicpu_threads));
            assert_eq!(cells.unwrap(), [7], "{aicpu_threads} threads");
        }
    });
}

#[test]
fn every_block_waits_for_its_own_counter() {
    on_every_chip("blocks", |(worker, handle), aicpu_threads| {
        for (blocks, together) in [(2, 0), (48, 0), (100, 0), (48, 1)] {
            let counters = counters(blocks);
            let scalars = [address(counters), together];
            let cells = run(worker, handle, blocks, &scalars, &threads(aicpu_threads)).unwrap();
            assert_eq!(cells, vec![1; blocks], "{aicpu_threads} threads, {blocks} blocks");
        }
    });
}

#[test]
fn every_lane_of_a_mixed_task_waits_for_its_own_counter() {
    on_every_chip("lanes", |(worker, handle), aicpu_threads| {
        for blocks in [1, 24, 30] {
            let counters = counters(3 * blocks);
            let scalars = [address(counters), 0];
            let cells = run(worker, handle, 3 * blocks, &scalars, &threads(aicpu_threads));
            assert_eq!(cells.unwrap(), vec![1; 3 * blocks], "{aicpu_threads} threads");
        }
    });
}

#[test]
fn a_host_thread_may_raise_the_counters_while_the_run_is_in_flight() {
    on_every_chip("waits", |(worker, handle), aicpu_threads| {
        let counters = counters(MAX_DEFERRED_CONDITIONS);
        let scalars = waiting(counters, 3, MAX_DEFERRED_CONDITIONS as u64, 1);
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                // The last counter last: a condition that is forgotten shows as an early end.
                for Counter(counter) in counters {
                    counter.store(3, Ordering::Release);
                    thread::sleep(Duration::from_micros(300));
                }
            });
            run(worker, handle, counters.len(), &scalars, &threads(aicpu_threads))
        });
        assert_eq!(cells.unwrap(), vec![3; counters.len()], "{aicpu_threads} threads");
    });
}

#[test]
fn a_slow_peer_is_no_stall_as_long_as_a_counter_moves() {
    on_every_chip("waits", |(worker, handle), aicpu_threads| {
        // It takes its time; with and without a thread that only orchestrates is enough.
        if ![1, 3].contains(&aicpu_threads) {
            return;
        }
        let counters = counters(1);
        let start = Instant::now();
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=12 {
                    thread::sleep(Duration::from_millis(100));
                    counters[0].0.store(value, Ordering::Release);
                }
            });
            let scalars = waiting(counters, 12, 1, 1);
            let stall_timeout = Duration::from_millis(500);
            let config = RunConfig { stall_timeout, ..threads(aicpu_threads) };
            run(worker, handle, 1, &scalars, &config)
        });
        // Longer than the stall timeout, and than twice of it.
        assert!(start.elapsed() > Duration::from_millis(1100));
        assert_eq!(cells.unwrap(), [12]);
    });
}

#[test]
fn reading_an_element_waits_for_the_conditions_of_its_writer() {
    on_every_chip("reads", |with, aicpu_threads| {
        let counters = counters(1);
        let scalars = [address(counters), 5];
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                counters[0].0.store(5, Ordering::Release);
            });
            run(&with.0, &with.1, 1, &scalars, &threads(aicpu_threads))
        });
        assert_eq!(cells.unwrap(), [SENTINEL + 1]);
    });
}

#[test]
fn more_conditions_than_there_is_room_for_only_wait() {
    on_every_chip("waits", |(worker, handle), aicpu_threads| {
        let counters = counters(1);
        let mut scalars =
            waiting(counters, 1, MAX_DEFERRED_CONDITIONS as u64, flood(aicpu_threads));
        scalars[1] = 0;
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                counters[0].0.store(1, Ordering::Release);
            });
            run(worker, handle, 1, &scalars, &threads(aicpu_threads))
        });
        assert_eq!(cells.unwrap(), [1]);
    });
}

/// What the SDMA engine writes (spec trb §5.8).
#[repr(C)]
#[derive(Default)]
struct EventRecord {
    flag: AtomicU32,
    tail: AtomicU32,
    channel: AtomicU64,
}

#[test]
fn an_event_record_completes_its_task_and_goes_back_to_its_queue() {
    let with = with_entry(PlatformName::A2a3Sim, "waits");
    let sdma = CompletionType::SdmaEventRecord as u64;
    for aicpu_threads in AICPU_THREADS {
        let channel: &AtomicU64 = Box::leak(Box::default());
        let record: &EventRecord = Box::leak(Box::default());
        record.channel.store(channel.as_ptr().expose_provenance() as u64, Ordering::Relaxed);
        let address = core::ptr::from_ref(record).expose_provenance() as u64;
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                record.tail.store(0x1_0002, Ordering::Relaxed);
                record.flag.store(1, Ordering::Release);
            });
            run(&with.0, &with.1, 1, &[address, 0, 0, 1, sdma, 1], &threads(aicpu_threads))
        });
        // The consumer comes after the record was zeroed.
        assert_eq!(cells.unwrap(), [0]);
        assert_eq!(channel.load(Ordering::Relaxed), 0x1_0002_0001_0002);
        assert_eq!(record.tail.load(Ordering::Relaxed), 0);
    }
    let parts = ["no multiple of 8", "condition 0 (of 1"];
    let code = StatusCode::AsyncCompletionInvalid;
    fails(&with, &[address(counters(1)) + 4, 0, 1, 1, sdma, 1], &threads(3), code, &parts);
}

/// Counter and mailbox of one device.
struct Post {
    counter: u64,
    mailbox: u64,
}

/// Two devices, each in a thread of its own, send their states to each other and wait: round for
/// round, in both directions at once.
#[test]
fn two_devices_notify_each_other() {
    const ROUNDS: usize = 50;
    let post = |worker: &Worker| Post {
        counter: worker.allocate(64).unwrap().raw(),
        mailbox: worker.allocate(ROUNDS * 8).unwrap().raw(),
    };
    let next =
        |(a, b): (u64, u64)| (a.wrapping_mul(3).wrapping_add(b), b.wrapping_mul(3).wrapping_add(a));
    let expected = (0..ROUNDS).fold((1, 1000), |states, _| next(states));
    let pairs = PLATFORMS.map(|(platform, _)| [0, 1].map(|_| with_entry(platform, "exchange")));
    for ([left, right], aicpu_threads) in
        pairs.iter().flat_map(|pair| AICPU_THREADS.map(|threads| (pair, threads)))
    {
        let (here, there) = (post(&left.0), post(&right.0));
        let exchange = |with: &(Worker, CallableHandle), own: &Post, peer: &Post, first: u64| {
            let rounds = ROUNDS as u64;
            let scalars = vec![rounds, own.counter, own.mailbox, peer.counter, peer.mailbox];
            let mut passed = Cells { cells: vec![first], scalars, ..Cells::default() };
            passed.run(&with.0, &with.1, &threads(aicpu_threads)).map(|_| passed.cells[0])
        };
        let states = thread::scope(|scope| {
            let left = scope.spawn(|| exchange(left, &here, &there, 1));
            let right = scope.spawn(|| exchange(right, &there, &here, 1000));
            (left.join().unwrap().unwrap(), right.join().unwrap().unwrap())
        });
        assert_eq!(states, expected, "{aicpu_threads} threads");
    }
}
