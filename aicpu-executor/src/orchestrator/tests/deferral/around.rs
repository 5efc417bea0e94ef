//! Deferred tasks next to what else a run does: rings that wrap, element accesses, task ids.

use core::sync::atomic::Ordering;
use std::vec::Vec;

use protocol::ScopeMode;

use super::{Context, Counters, DEFER, KERNELS, NOTHING, scalar_arg};
use crate::testing::submission::{Submission, external};
use crate::testing::{Machine, Session};

/// Slots of deferred tasks are reused as those of others, and no earlier.
#[test]
fn deferred_tasks_wrap_around_a_small_window() {
    for seed in 1..=20 {
        let counters = Counters::new(1);
        let mut buffer = [-1];
        let outcome = Machine { seed, window: 4, ..Machine::default() }.run(&KERNELS, |session| {
            for round in 1..=40 {
                session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
                counters.raising(0, 1).submit(session);
                counters.waiting(Submission::aiv(DEFER), &mut buffer, 0, round).submit(session);
                session.orchestrator.scope_end(session.services).unwrap();
            }
            counters.recording(&mut buffer).submit(session);
        });
        assert_eq!((outcome.code(), buffer), (0, [40]), "{:?}", outcome.fault);
    }
}

#[test]
fn reading_an_element_waits_for_the_conditions_of_its_writer() {
    for seed in 1..=20 {
        let counters = Counters::new(1);
        let mut buffer = [-1];
        let tensor = external(&mut buffer, &[1]);
        let outcome = Machine { seed, ..Machine::default() }.run(
            &KERNELS,
            |session: &mut Session<'_, '_>| {
                counters.waiting(Submission::aiv(DEFER), &mut buffer, 0, 3).submit(session);
                for _ in 0..3 {
                    counters.raising(0, 1).submit(session);
                }
                session.orchestrator.get_tensor_data(session.services, &tensor, &[0]);
                assert_eq!(counters.0[0].load(Ordering::Relaxed), 3);
            },
        );
        assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
    }
}

#[test]
fn writing_an_element_waits_for_the_conditions_of_its_users() {
    for seed in 1..=20 {
        let counters = Counters::new(1);
        let mut buffer = [-1];
        let tensor = external(&mut buffer, &[1]);
        let outcome = Machine { seed, ..Machine::default() }.run(&KERNELS, |session| {
            counters.waiting(Submission::aic(DEFER), &mut buffer, 0, 2).submit(session);
            counters.raising(0, 1).submit(session);
            counters.raising(0, 1).submit(session);
            session.orchestrator.set_tensor_data(session.services, &tensor, &[0], 5);
            assert_eq!(counters.0[0].load(Ordering::Relaxed), 2);
        });
        assert_eq!((outcome.code(), buffer), (0, [5]), "{:?}", outcome.fault);
    }
}

/// Notes the task id it sees; scalar: address of a cell.
extern "C" fn note_token(args: *const u64) {
    let place = core::ptr::with_exposed_provenance_mut::<u64>(scalar_arg(args, 0) as usize);
    // SAFETY: a live cell of the test.
    unsafe { place.write(Context::of(args).0.async_ctx.task_token.raw()) };
}

#[test]
fn a_kernel_sees_the_id_of_its_task_in_every_ring_and_lap() {
    let mut seen = [u64::MAX; 24];
    let cells = seen.as_mut_ptr();
    let mut ids = Vec::new();
    let outcome = Machine { window: 4, ..Machine::default() }.run(&[note_token], |session| {
        for depth in [1, 2, 3] {
            for _ in 0..depth {
                session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
            }
            for _ in 0..8 {
                session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
                let cell = cells.wrapping_add(ids.len()).expose_provenance() as u64;
                ids.push(Submission::aiv(0).scalar(cell).submit(session).task_id.raw());
                session.orchestrator.scope_end(session.services).unwrap();
            }
            for _ in 0..depth {
                session.orchestrator.scope_end(session.services).unwrap();
            }
        }
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 24), "{:?}", outcome.fault);
    // SAFETY: the cells are alive, and all kernels have ended.
    let seen = unsafe { cells.cast::<[u64; 24]>().read() };
    assert_eq!(ids, seen);
}

/// The end of a kernel that defers nothing costs one look at its core's own ingress.
#[test]
fn a_kernel_that_defers_nothing_is_looked_at_once() {
    let outcome = Machine::default().run(&KERNELS, |session| {
        for _ in 0..10 {
            Submission::aiv(NOTHING).submit(session);
        }
    });
    assert_eq!((outcome.code(), outcome.invalidations), (0, 10));
}
