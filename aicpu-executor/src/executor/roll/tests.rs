//! Single-threaded: who gets which place, and what a number does.

use super::*;

const MEMBERS: [Arrival; 3] =
    [Arrival::Member { index: 0 }, Arrival::Member { index: 1 }, Arrival::Member { index: 2 }];

/// A run with as many arrivals as it has places; all leave.
#[track_caller]
fn whole_run(roll: &Roll, run: u32, count: usize) {
    for member in &MEMBERS[..count] {
        assert_eq!(roll.arrive(run, count), *member);
    }
    for left in (0..count).rev() {
        assert_eq!(roll.depart(run, count), left == 0);
    }
    roll.close(run);
}

#[test]
fn places_are_given_once_in_order_of_arrival() {
    let roll = Roll::default();
    for run in [7, 8, u32::MAX, 1] {
        for count in 1..=3 {
            // Each with another number, as every run has.
            whole_run(&roll, run ^ (count as u32) << 8, count);
        }
    }
}

#[test]
fn a_surplus_thread_is_one_during_the_run_and_after_its_end() {
    let roll = Roll::default();
    assert_eq!(roll.arrive(5, 2), MEMBERS[0]);
    assert_eq!(roll.arrive(5, 2), MEMBERS[1]);
    assert_eq!(roll.arrive(5, 2), Arrival::Surplus);
    assert!(!roll.depart(5, 2));
    assert_eq!(roll.arrive(5, 2), Arrival::Surplus);
    assert!(roll.depart(5, 2));
    assert_eq!(roll.arrive(5, 2), Arrival::Surplus, "departed, and not closed yet");
    roll.close(5);
    for _ in 0..10 {
        assert_eq!(roll.arrive(5, 2), Arrival::Surplus);
    }
    whole_run(&roll, 6, 3);
}

#[test]
fn another_number_has_to_wait_for_the_end_of_a_run() {
    let roll = Roll::default();
    assert_eq!(roll.arrive(5, 1), MEMBERS[0]);
    for other in [6, 4, 0] {
        assert_eq!(roll.arrive(other, 1), Arrival::Busy);
    }
    assert!(roll.depart(5, 1));
    roll.close(5);
    // A host that starts again counts from anywhere: smaller is as good as larger.
    whole_run(&roll, 4, 2);
}

#[test]
fn runs_without_a_number_follow_one_another_and_those_with_one() {
    let roll = Roll::default();
    for run in [0, 0, 3, 0, 0, 3] {
        whole_run(&roll, run, 2);
    }
    assert_eq!(roll.arrive(0, 1), MEMBERS[0]);
    assert_eq!(roll.arrive(0, 1), Arrival::Surplus);
    assert_eq!(roll.arrive(9, 1), Arrival::Busy);
}

#[test]
fn a_numbered_run_ends_without_those_who_have_not_come_and_others_wait_for_all() {
    let roll = Roll::default();
    assert_eq!(roll.arrive(5, 3), MEMBERS[0]);
    assert!(roll.depart(5, 3), "nobody else is inside");
    roll.close(5);
    assert_eq!(roll.arrive(5, 3), Arrival::Surplus);
    assert_eq!(roll.arrive(0, 2), MEMBERS[0]);
    assert!(!roll.depart(0, 2), "without a number, the second one is waited for");
    assert_eq!(roll.arrive(0, 2), MEMBERS[1]);
    assert!(roll.depart(0, 2));
    roll.close(0);
}

#[test]
fn a_thread_without_a_place_joins_a_run_that_is_under_way() {
    let roll = Roll::default();
    assert_eq!(roll.join(5), Arrival::Surplus, "nobody has begun it");
    assert_eq!(roll.arrive(5, 1), MEMBERS[0]);
    assert_eq!(roll.join(5), MEMBERS[1]);
    assert_eq!(roll.join(4), Arrival::Busy);
    assert!(!roll.depart(5, 1));
    assert!(roll.depart(5, 1));
    assert_eq!(roll.join(5), Arrival::Surplus, "the last one is leaving");
    roll.close(5);
    assert_eq!(roll.join(5), Arrival::Surplus);
}

/// Spec callable §7.1, H16: whoever ends a run takes it down, so it must be one thread, and the last.
#[test]
fn h16_of_threads_that_depart_at_the_same_time_one_is_the_last() {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Barrier;

    const THREADS: usize = 7;
    let (roll, start) = (Roll::default(), Barrier::new(THREADS));
    let (inside, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for run in 1..200 {
                    start.wait();
                    assert!(matches!(roll.arrive(run, THREADS), Arrival::Member { .. }));
                    // ORDERING: SeqCst (all): a test that counts.
                    inside.fetch_add(1, Ordering::SeqCst);
                    start.wait();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    if roll.depart(run, THREADS) {
                        assert_eq!(inside.load(Ordering::SeqCst), 0, "somebody is still inside");
                        last.fetch_add(1, Ordering::SeqCst);
                        roll.close(run);
                    }
                    start.wait();
                    assert_eq!(last.load(Ordering::SeqCst), run as usize, "one for each run");
                }
            });
        }
    });
}
