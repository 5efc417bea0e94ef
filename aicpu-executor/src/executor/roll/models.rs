//! All interleavings of arriving, leaving and coming late.
//!
//! What a run works with is a loom cell, written by its first member and read by all. Loom fails a
//! model in which two runs meet in it. Seen to fail with the exchange of [`Roll::arrive`] weakened
//! to `Relaxed`, with the store of [`Roll::close`] weakened to `Relaxed`, with `depart` weakened to
//! `Relaxed`, and with `close` that forgets the number.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::*;

/// A roll with what its runs work with: how many there were.
struct Shared {
    roll: Roll,
    runs: UnsafeCell<u32>,
}

// SAFETY: what the models check: the roll orders all accesses to the cell, or loom stops.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { roll: Roll::default(), runs: UnsafeCell::new(0) })
    }

    /// One thread of a run, from launch to return; what it was. The cell is written by whoever
    /// leaves last, which is where a run has no other members.
    fn take_part(&self, run: u32, count: usize) -> Arrival {
        let arrival = self.roll.arrive(run, count);
        if let Arrival::Member { .. } = arrival {
            // SAFETY: (both) loom checks it.
            let _runs = self.runs.with(|runs| unsafe { *runs });
            if self.roll.depart(run, count) {
                self.runs.with_mut(|runs| unsafe { *runs += 1 });
                self.roll.close(run);
            }
        }
        arrival
    }

    fn runs(&self) -> u32 {
        // SAFETY: loom checks it.
        self.runs.with(|runs| unsafe { *runs })
    }
}

fn is_member(arrival: &Arrival) -> bool {
    matches!(arrival, Arrival::Member { .. })
}

#[test]
fn of_three_threads_at_most_two_take_part_once_whenever_the_others_come() {
    let mut model = loom::model::Builder::new();
    // All interleavings of three threads take minutes.
    model.preemption_bound = Some(4);
    model.check(|| {
        let shared = Shared::new();
        let spawn = || {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take_part(7, 2))
        };
        let others = [spawn(), spawn()];
        let mut arrivals = vec![shared.take_part(7, 2)];
        arrivals.extend(others.map(|thread| thread.join().unwrap()));
        let members = arrivals.iter().filter(|it| is_member(it)).count();
        assert!((1..=2).contains(&members), "{arrivals:?}");
        for index in 0..members {
            assert!(arrivals.contains(&Arrival::Member { index }), "{arrivals:?}");
        }
        assert_eq!(shared.runs(), 1);
        // The next run finds everything ready.
        assert!(is_member(&shared.take_part(8, 1)));
        assert_eq!(shared.runs(), 2);
    });
}

#[test]
fn a_run_begins_after_the_end_of_the_one_before_or_not_at_all() {
    loom::model(|| {
        let shared = Shared::new();
        let first = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take_part(1, 1))
        };
        let second = shared.take_part(2, 1);
        let first = first.join().unwrap();
        let took_part = [first, second].iter().filter(|it| is_member(it)).count();
        assert!(took_part >= 1, "{first:?} {second:?}");
        assert_eq!(shared.runs() as usize, took_part);
    });
}

/// A thread without a place joins a run that is under way, and never begins one.
#[test]
fn who_joins_is_in_the_run_or_finds_none() {
    loom::model(|| {
        let shared = Shared::new();
        let helper = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let arrival = shared.roll.join(3);
                if is_member(&arrival) {
                    // SAFETY: (both) loom checks it.
                    let _runs = shared.runs.with(|runs| unsafe { *runs });
                    if shared.roll.depart(3, 1) {
                        shared.runs.with_mut(|runs| unsafe { *runs += 1 });
                        shared.roll.close(3);
                    }
                }
                arrival
            })
        };
        assert_eq!(shared.take_part(3, 1), Arrival::Member { index: 0 });
        let helper = helper.join().unwrap();
        assert!(matches!(helper, Arrival::Member { index: 1 } | Arrival::Surplus | Arrival::Busy));
        assert_eq!(shared.runs(), 1);
        assert!(is_member(&shared.take_part(4, 1)));
    });
}
