//! Turns without a device: cores are counters, AICPU threads what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Cores of which each call is noted; a kernel is left to the test's own thread.
#[derive(Debug, Default)]
struct Bench {
    /// Transitions that each core still has to make.
    left: [AtomicUsize; 4],
    /// Whether the next transition of core 0 is a kernel.
    at_kernel: AtomicBool,
    started: AtomicUsize,
    freed: AtomicUsize,
}

impl Cores for Bench {
    fn next_kernel(&self, core: usize) -> Option<u64> {
        (core == 0 && self.at_kernel.load(Ordering::SeqCst)).then_some(0x1000)
    }

    fn running_kernel(&self, core: usize) -> Option<u64> {
        (core == 0).then_some(0x1000)
    }

    fn move_on(&self, core: usize) -> bool {
        self.left[core].fetch_sub(1, Ordering::SeqCst) > 1
    }

    fn start_kernel(&self, core: usize, _running: usize) {
        assert_eq!(core, 0);
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn set_free(&self, _core: usize) {
        self.freed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs `threads` AICPU threads that each do `body` in their turns.
fn run(turns: &Turns, bench: &Bench, threads: usize, body: impl Fn() + Sync) -> Interleaving {
    turns.begin(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _turn = turns.enter(bench);
                body();
            });
        }
    });
    turns.interleaving()
}

#[test]
fn one_thread_at_a_time_and_the_same_order_for_the_same_seed() {
    let order = |seed: u64| {
        let (turns, bench) = (Turns::new(seed), Bench::default());
        let (inside, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let interleaving = run(&turns, &bench, 4, || {
            for step in 0..20 {
                assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                seen.lock().unwrap().push((ME.get(), step));
                inside.store(false, Ordering::SeqCst);
                assert!(turns.point(&bench, Point::Interleave));
            }
        });
        (seen.into_inner().unwrap(), interleaving)
    };
    let orders: Vec<_> = (0..20).map(order).collect();
    assert!(orders.iter().all(|(seen, _)| seen.len() == 80));
    for (seed, (seen, interleaving)) in (0..20).zip(&orders) {
        let (again, its) = order(seed);
        // A machine that stops a thread for half a second makes it lose its turn.
        if interleaving.is_replayable && its.is_replayable {
            assert_eq!((&again, &its), (seen, interleaving), "seed {seed}");
        }
    }
    let mut hashes: Vec<_> = orders.iter().map(|(_, interleaving)| interleaving.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert!(hashes.len() >= 19, "{} of 20 seeds differ", hashes.len());
}

#[test]
fn the_second_run_of_a_device_is_another_interleaving() {
    let (turns, bench) = (Turns::new(3), Bench::default());
    let body = || (0..50).for_each(|_| assert!(turns.point(&bench, Point::Interleave)));
    let first = run(&turns, &bench, 3, body);
    let second = run(&turns, &bench, 3, body);
    assert!(first.points >= 150 && second.points >= 150);
    assert_ne!(first.hash, second.hash);
}

#[test]
fn cores_move_while_threads_wait_and_what_is_left_goes_back_to_the_pool() {
    for seed in 0..20 {
        let (turns, bench) = (Turns::new(seed), Bench::default());
        bench.left[2].store(5, Ordering::SeqCst);
        bench.left[3].store(1, Ordering::SeqCst);
        let rings = [AtomicBool::new(true), AtomicBool::new(true)];
        run(&turns, &bench, 2, || {
            if rings[0].swap(false, Ordering::SeqCst) {
                assert!(turns.ready(2));
            }
            while bench.left[2].load(Ordering::SeqCst) != 0 {
                turns.point(&bench, Point::Relax);
            }
            if rings[1].swap(false, Ordering::SeqCst) {
                turns.ready(3);
            }
        });
        let moved = bench.left[3].load(Ordering::SeqCst) == 0;
        assert_eq!(bench.freed.load(Ordering::SeqCst), usize::from(!moved), "seed {seed}");
        assert!(!turns.ready(2), "no turns between runs");
    }
}

#[test]
fn a_kernel_that_keeps_the_turn_goes_outside_and_the_run_goes_on() {
    let (turns, bench) = (Arc::new(Turns::new(5)), Arc::new(Bench::default()));
    bench.at_kernel.store(true, Ordering::SeqCst);
    let (rung, released) = (AtomicBool::new(false), AtomicBool::new(false));
    let interleaving = run(&turns, &bench, 2, || {
        if !rung.swap(true, Ordering::SeqCst) {
            turns.ready(0);
        }
        // Only the kernel going outside lets anybody come back here often enough.
        while bench.started.load(Ordering::SeqCst) == 0 {
            turns.point(&*bench, Point::Relax);
        }
        for _ in 0..5 {
            turns.point(&*bench, Point::Relax);
        }
        if !released.swap(true, Ordering::SeqCst) {
            assert!(turns.wants_kernel(0));
            bench.at_kernel.store(false, Ordering::SeqCst);
            bench.left[0].store(1, Ordering::SeqCst);
            assert_eq!(turns.kernel_returned(&*bench, 0), AfterKernel::Done);
        }
        while bench.left[0].load(Ordering::SeqCst) != 0 {
            turns.point(&*bench, Point::Relax);
        }
    });
    assert!(!interleaving.is_replayable);
    assert_eq!(bench.started.load(Ordering::SeqCst), 1);
}

#[test]
fn a_thread_that_does_not_come_back_does_not_stop_the_others() {
    let (turns, bench) = (Turns::new(9), Bench::default());
    let hung = AtomicBool::new(false);
    let others = AtomicUsize::new(0);
    let interleaving = run(&turns, &bench, 3, || {
        if !hung.swap(true, Ordering::SeqCst) {
            // With the turn, until the two others have done all of theirs.
            while others.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            return;
        }
        (0..100).for_each(|_| assert!(turns.point(&bench, Point::Interleave)));
        others.fetch_add(1, Ordering::SeqCst);
    });
    assert!(!interleaving.is_replayable);
}

#[test]
fn threads_outside_a_run_take_no_turns() {
    let (turns, bench) = (Turns::new(1), Bench::default());
    assert!(!turns.point(&bench, Point::Relax));
    assert!(!turns.ready(1));
}
