//! Orders, and who carries them out.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn start<O: Copy + PartialEq + Send + 'static>(
    count: usize,
    program: &Program<O>,
) -> AicpuThreads<O> {
    let prepare: Prepare = Arc::new(|| {});
    AicpuThreads::start("test", count, &prepare, program).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn each_order_is_carried_out_by_as_many_threads_as_asked_for() {
    static RUNS: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];
    let program: Program<usize> = Arc::new(|order, _| {
        RUNS[order].fetch_add(1, Ordering::SeqCst);
        0
    });
    let threads = start(4, &program);
    // The last two orders are alike.
    for (participants, order) in [1, 4, 2, 3, 1, 1].into_iter().zip([0, 1, 2, 3, 4, 4]) {
        let before = RUNS[order].load(Ordering::SeqCst);
        threads.begin(order, participants);
        assert_eq!(threads.wait(soon()), Ok(Ended { status: 0, panicked: false }));
        assert_eq!(RUNS[order].load(Ordering::SeqCst), before + participants);
    }
}

#[test]
fn a_status_and_a_panic_reach_the_caller_and_the_next_order_works() {
    let program: Program<i32> = Arc::new(|order, _| {
        assert!(order != 1, "ordered to panic");
        order
    });
    let threads = start(2, &program);
    for (order, status, panicked) in [(-9, -9, false), (1, 0, true), (0, 0, false)] {
        threads.begin(order, 2);
        assert_eq!(threads.wait(soon()), Ok(Ended { status, panicked }));
    }
}

#[test]
fn an_order_that_does_not_end_is_told_with_the_number_of_threads() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    let program: Program<()> = Arc::new(|(), _| {
        if ARRIVED.fetch_add(1, Ordering::SeqCst) > 0 {
            while RELEASED.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
        }
        0
    });
    let threads = start(3, &program);
    threads.begin((), 3);
    let stuck = threads.wait(Instant::now() + Duration::from_millis(50));
    assert_eq!(stuck, Err(Stuck { threads: 2 }));
    RELEASED.store(1, Ordering::SeqCst);
    assert!(threads.wait(soon()).is_ok());
}

#[test]
fn a_thread_that_is_called_helps_while_the_order_lasts_and_not_later() {
    static HELPED: AtomicUsize = AtomicUsize::new(0);
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    let program: Program<usize> = Arc::new(|round, part| {
        match part {
            Part::Member { .. } => {
                while RELEASED.load(Ordering::SeqCst) < round {
                    std::thread::yield_now();
                }
            }
            Part::Helper { index } => {
                assert!((1..3).contains(&index));
                HELPED.fetch_add(1, Ordering::SeqCst);
                RELEASED.store(round, Ordering::SeqCst);
            }
        }
        0
    });
    let threads = start(3, &program);
    for round in 1..=20 {
        threads.begin(round, 1);
        assert!(threads.call(1..3));
        assert_eq!(threads.wait(soon()), Ok(Ended { status: 0, panicked: false }));
        assert!(HELPED.load(Ordering::SeqCst) >= round);
        let helped = HELPED.load(Ordering::SeqCst);
        // Called for an order that is over.
        assert!(threads.call(1..3));
        assert!(!threads.call(1..3), "there are no more");
        assert_eq!(HELPED.load(Ordering::SeqCst), helped);
        assert!(threads.wait(soon()).is_ok());
    }
}
