//! Deferred completion on the simulator, with kernels as users write them.
//!
//! Counters are raised by kernels of the same run, by a host thread while the run is in flight, and
//! by another device.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, Worker};
use protocol::{CompletionType, CoreType, MAX_DEFERRED_CONDITIONS, StatusCode};
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, open, threads};

/// A counter in a cache line of its own, as the orchestrations expect them.
#[repr(align(64))]
#[derive(Default)]
struct Counter(AtomicU32);

const STRIDE: u64 = size_of::<Counter>() as u64;

/// Counters that live for ever, since a device may look at them at any time.
fn counters(count: usize) -> &'static [Counter] {
    Box::leak((0..count).map(|_| Counter::default()).collect())
}

fn address(counters: &[Counter]) -> u64 {
    counters.as_ptr().expose_provenance() as u64
}

/// A worker with one entry of `deferred.cpp`.
fn with_entry(entry: &str) -> (Worker, CallableHandle) {
    let mut kernels = sources::cell_kernels();
    let names = ["await_counters", "observe", "notify", "send", "receive", "defer_wrongly"];
    kernels
        .extend(names.iter().zip(4..).map(|(name, id)| sources::kernel(id, CoreType::Aiv, name)));
    kernels.push(sources::kernel(10, CoreType::Aic, "await_counters"));
    let worker = open();
    let handle = worker.register(&sources::callable("deferred", entry, kernels)).unwrap();
    (worker, handle)
}

/// Settings under which a wait that nobody ends takes less than half a second.
fn short(aicpu_threads: u32) -> RunConfig {
    RunConfig { stall_timeout: Duration::from_millis(400), ..threads(aicpu_threads) }
}

/// Runs with `cells` cells and these scalars; gives the cells back.
fn run(
    worker: &Worker,
    handle: &CallableHandle,
    cells: usize,
    scalars: &[u64],
    config: &RunConfig,
) -> Result<Vec<u64>, RunError> {
    let (cells, scalars) = (vec![SENTINEL; cells], scalars.to_vec());
    let mut passed = Cells { cells, scalars, ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells)
}

/// As `run`, for a run that must fail.
#[track_caller]
fn fails(
    (worker, handle): &(Worker, CallableHandle),
    scalars: &[u64],
    config: &RunConfig,
    code: StatusCode,
    parts: &[&str],
) {
    let mut passed = Cells { cells: vec![SENTINEL], scalars: scalars.to_vec(), ..Cells::default() };
    assert_fault(passed.run(worker, handle, config), code, parts);
    assert_works(worker, &threads(config.aicpu_threads));
}

#[test]
fn a_consumer_comes_after_the_notifications_its_producer_waits_for() {
    let (worker, handle) = with_entry("notified_by_tasks");
    for aicpu_threads in AICPU_THREADS {
        for _ in 0..3 {
            let counters = counters(1);
            let cells = run(&worker, &handle, 1, &[address(counters)], &threads(aicpu_threads));
            assert_eq!(cells.unwrap(), [7], "{aicpu_threads} threads");
        }
    }
}

#[test]
fn every_block_waits_for_its_own_counter() {
    let (worker, handle) = with_entry("blocks");
    for aicpu_threads in AICPU_THREADS {
        for (blocks, together) in [(2, 0), (48, 0), (100, 0), (48, 1)] {
            let counters = counters(blocks);
            let scalars = [address(counters), together];
            let cells = run(&worker, &handle, blocks, &scalars, &threads(aicpu_threads)).unwrap();
            assert_eq!(cells, vec![1; blocks], "{aicpu_threads} threads, {blocks} blocks");
        }
    }
}

#[test]
fn every_lane_of_a_mixed_task_waits_for_its_own_counter() {
    let (worker, handle) = with_entry("lanes");
    for aicpu_threads in AICPU_THREADS {
        for blocks in [1, 24, 30] {
            let counters = counters(3 * blocks);
            let scalars = [address(counters), 0];
            let cells = run(&worker, &handle, 3 * blocks, &scalars, &threads(aicpu_threads));
            assert_eq!(cells.unwrap(), vec![1; 3 * blocks], "{aicpu_threads} threads");
        }
    }
}

/// Scalars of `waits`: `conditions` counters for each of `blocks` blocks.
fn waiting(counters: &[Counter], expected: u64, conditions: u64, blocks: u64) -> [u64; 6] {
    let counter = CompletionType::Counter as u64;
    [address(counters), STRIDE, expected, conditions, counter, blocks]
}

#[test]
fn a_host_thread_may_raise_the_counters_while_the_run_is_in_flight() {
    let (worker, handle) = with_entry("waits");
    for aicpu_threads in AICPU_THREADS {
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
            run(&worker, &handle, counters.len(), &scalars, &threads(aicpu_threads))
        });
        assert_eq!(cells.unwrap(), vec![3; counters.len()], "{aicpu_threads} threads");
    }
}

#[test]
fn a_slow_peer_is_no_stall_as_long_as_a_counter_moves() {
    let (worker, handle) = with_entry("waits");
    for aicpu_threads in [1, 3] {
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
            run(&worker, &handle, 1, &scalars, &config)
        });
        // Longer than the stall timeout, and than twice of it.
        assert!(start.elapsed() > Duration::from_millis(1100));
        assert_eq!(cells.unwrap(), [12]);
    }
}

#[test]
fn a_counter_that_moves_for_ever_ends_with_the_time_limit_which_names_it() {
    let with = with_entry("waits");
    for aicpu_threads in [1, 3] {
        let counters = counters(1);
        let is_over = AtomicBool::new(false);
        let timeout = Duration::from_millis(800);
        let config = RunConfig { timeout, ..short(aicpu_threads) };
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    counters[0].0.fetch_xor(1, Ordering::Release);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let ended = run(&with.0, &with.1, 1, &waiting(counters, 2, 1, 1), &config);
            is_over.store(true, Ordering::Relaxed);
            ended.unwrap_err().to_string()
        });
        for part in ["within its limit of 800 ms", "and must reach 2", "func_id 4"] {
            assert!(error.contains(part), "{part:?} is missing in: {error}");
        }
        assert_works(&with.0, &threads(aicpu_threads));
    }
}

#[test]
fn a_condition_that_never_holds_is_a_stall_that_says_which_one() {
    let with = with_entry("waits");
    for aicpu_threads in AICPU_THREADS {
        let counters = counters(2);
        counters[0].0.store(9, Ordering::Relaxed);
        counters[1].0.store(4, Ordering::Relaxed);
        let (second, start) =
            (format!("the counter at {:#x}", address(&counters[1..])), Instant::now());
        let parts = [
            "no progress for 400 ms",
            "1 sub-task waits for 1 deferred condition",
            "condition 1 (of 2, from 0) of the kernel of func_id 4 (task 0 of ring 0, block 0, core ",
            &second,
            "is 4 and must reach 9",
        ];
        let code = StatusCode::SchedulerTimeout;
        fails(&with, &waiting(counters, 9, 2, 1), &short(aicpu_threads), code, &parts);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    }
}

#[test]
fn reading_an_element_waits_for_the_conditions_of_its_writer() {
    let with = with_entry("reads");
    for aicpu_threads in AICPU_THREADS {
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
    }
    // With one thread it is the read that gives up.
    let parts =
        ["an element access waited", "no task made progress for 400 ms", "is 0 and must reach 5"];
    let scalars = [address(counters(1)), 5];
    fails(&with, &scalars, &short(1), StatusCode::TensorWaitTimeout, &parts);
}

#[test]
fn conditions_that_make_no_sense_end_the_run_by_name() {
    let with = with_entry("waits");
    let counters = counters(1);
    let (good, sdma) = (address(counters), CompletionType::SdmaEventRecord as u64);
    let invalid = StatusCode::AsyncCompletionInvalid;
    for aicpu_threads in [1, 3] {
        for (scalars, code, parts) in [
            ([0, STRIDE, 1, 1, 0, 1], invalid, ["its address is 0", "condition 0 (of 1"]),
            ([good, 2, 0, 2, 0, 1], invalid, ["no multiple of 4", "condition 1 (of 2"]),
            ([good + 4, 8, 1, 3, sdma, 1], invalid, ["no multiple of 8", "condition 0 (of 3"]),
            ([good, 0, 1, 1, 7, 1], invalid, ["type 7", "condition 0 (of 1"]),
            (
                // One condition more than the kernel's buffer holds: the headers notice.
                [good, 0, 1, 65, 0, 1],
                StatusCode::AsyncWaitOverflow,
                ["error 102 (ASYNC_WAIT_OVERFLOW)", "after 64 conditions"],
            ),
        ] {
            let parts = [&parts[..], &["func_id 4", "task 0 of ring 0", "core "]].concat();
            fails(&with, &scalars, &threads(aicpu_threads), code, &parts);
        }
    }
}

#[test]
fn an_error_of_the_kernel_ends_the_run_with_its_code() {
    let with = with_entry("wrong");
    for aicpu_threads in [1, 3] {
        for (scalars, code, part) in [
            ([101, 0], StatusCode::AsyncCompletionInvalid, "error 101 (ASYNC_COMPLETION_INVALID)"),
            ([103, 70], StatusCode::AsyncRegistrationFailed, "error 103"),
            ([0, 65], StatusCode::AsyncRegistrationFailed, "left 65 conditions; its buffer has 64"),
        ] {
            let parts = ["the kernel of func_id 9 (task 1 of ring 0", part];
            fails(&with, &scalars, &threads(aicpu_threads), code, &parts);
        }
    }
}

/// More conditions than all threads have room for.
const FLOOD: u64 = 220;

#[test]
fn more_conditions_than_there_is_room_for_only_wait() {
    let (worker, handle) = with_entry("waits");
    for aicpu_threads in [1, 4] {
        let counters = counters(1);
        let mut scalars = waiting(counters, 1, MAX_DEFERRED_CONDITIONS as u64, FLOOD);
        scalars[1] = 0;
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                counters[0].0.store(1, Ordering::Release);
            });
            run(&worker, &handle, 1, &scalars, &threads(aicpu_threads))
        });
        assert_eq!(cells.unwrap(), [1]);
    }
}

#[test]
fn a_full_list_that_never_empties_is_an_overflow() {
    let with = with_entry("waits");
    for aicpu_threads in AICPU_THREADS {
        let mut scalars = waiting(counters(1), 1, MAX_DEFERRED_CONDITIONS as u64, FLOOD);
        scalars[1] = 0;
        let parts = ["held back", "room for 4096 conditions", "must reach 1", "func_id 4"];
        let code = StatusCode::AsyncWaitOverflow;
        fails(&with, &scalars, &short(aicpu_threads), code, &parts);
    }
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
    let (worker, handle) = with_entry("waits");
    for aicpu_threads in AICPU_THREADS {
        let channel: &AtomicU64 = Box::leak(Box::default());
        let record: &EventRecord = Box::leak(Box::default());
        record.channel.store(channel.as_ptr().expose_provenance() as u64, Ordering::Relaxed);
        let address = core::ptr::from_ref(record).expose_provenance() as u64;
        let sdma = CompletionType::SdmaEventRecord as u64;
        let cells = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                record.tail.store(0x1_0002, Ordering::Relaxed);
                record.flag.store(1, Ordering::Release);
            });
            run(&worker, &handle, 1, &[address, 0, 0, 1, sdma, 1], &threads(aicpu_threads))
        });
        // The consumer comes after the record was zeroed.
        assert_eq!(cells.unwrap(), [0]);
        assert_eq!(channel.load(Ordering::Relaxed), 0x1_0002_0001_0002);
        assert_eq!(record.tail.load(Ordering::Relaxed), 0);
    }
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
    let (left, right) = (with_entry("exchange"), with_entry("exchange"));
    let post = |worker: &Worker| Post {
        counter: worker.allocate(64).unwrap().raw(),
        mailbox: worker.allocate(ROUNDS * 8).unwrap().raw(),
    };
    for aicpu_threads in AICPU_THREADS {
        let (here, there) = (post(&left.0), post(&right.0));
        let exchange = |with: &(Worker, CallableHandle), own: &Post, peer: &Post, first: u64| {
            let rounds = ROUNDS as u64;
            let scalars = vec![rounds, own.counter, own.mailbox, peer.counter, peer.mailbox];
            let mut passed = Cells { cells: vec![first], scalars, ..Cells::default() };
            passed.run(&with.0, &with.1, &threads(aicpu_threads)).map(|_| passed.cells[0])
        };
        let states = thread::scope(|scope| {
            let left = scope.spawn(|| exchange(&left, &here, &there, 1));
            let right = scope.spawn(|| exchange(&right, &there, &here, 1000));
            [left.join().unwrap().unwrap(), right.join().unwrap().unwrap()]
        });
        let next = |(a, b): (u64, u64)| {
            (a.wrapping_mul(3).wrapping_add(b), b.wrapping_mul(3).wrapping_add(a))
        };
        let expected = (0..ROUNDS).fold((1, 1000), |states, _| next(states));
        assert_eq!(states, [expected.0, expected.1], "{aicpu_threads} threads");
    }
}

/// A device that fails does not end the other, which is told by its own stall timeout; both work
/// afterwards.
#[test]
fn a_device_whose_peer_never_comes_ends_by_its_stall_timeout() {
    let with = with_entry("exchange");
    let memory = with.0.allocate(256).unwrap().raw();
    let scalars = [2, memory, memory + 64, memory + 128, memory + 192];
    for aicpu_threads in [1, 3] {
        let parts = [&format!("the counter at {memory:#x} is 0 and must reach 1"), "func_id 4"];
        let code = StatusCode::SchedulerTimeout;
        fails(&with, &scalars, &short(aicpu_threads), code, &parts);
    }
}
