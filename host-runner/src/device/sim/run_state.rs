//! Who may step a simulated core: one word per core.
//!
//! ```text
//!            notify                claim_queued
//!   Idle ─────────────▶ Queued ─────────────────▶ Running ◀─────┐ release
//!    │ ▲                   ▲                        │ │  notify  │ (again)
//!    │ │ release           │ requeue                │ └────▶ RunningNotified
//!    │ └───────────────────┼────────────────────────┤
//!    └─────────────────────┼────────────────────────┘
//!        claim_or_notify   └── by whoever runs it
//! ```
//!
//! A core is in the pool's queue exactly while it is `Queued`, and exactly one thread steps it
//! while it is `Running` or `RunningNotified`. Every transition is a read-modify-write on this
//! word, the ones that keep the value included: so of a notification and a release one comes
//! first, and either the release sees the notification or the next claim sees what the notifier
//! wrote before.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const RUNNING_NOTIFIED: u8 = 3;

/// What the caller of a notification has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// The core became `Queued`: put it into the queue.
    Queue,
    /// The core became `Running` by this call: step it, then release it.
    Step,
    /// Somebody else will look at the core.
    Nothing,
}

/// The word.
#[derive(Debug)]
pub struct RunState(AtomicU8);

impl Default for RunState {
    fn default() -> Self {
        Self(AtomicU8::new(IDLE))
    }
}

impl RunState {
    /// Something changed for the core: have the pool step it.
    pub fn notify(&self) -> Duty {
        self.signal(QUEUED, Duty::Queue)
    }

    /// Something changed for the core: step it here if nobody does.
    pub fn claim_or_notify(&self) -> Duty {
        self.signal(RUNNING, Duty::Step)
    }

    fn signal(&self, from_idle: u8, duty: Duty) -> Duty {
        // ORDERING: Relaxed: the value is only the guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let next = match now {
                IDLE => from_idle,
                QUEUED => QUEUED,
                _ => RUNNING_NOTIFIED,
            };
            // ORDERING: AcqRel: Release so that the thread which claims or releases after this
            // sees what the notifier wrote before; Acquire because a claim sees the core as the
            // last stepping thread left it. Relaxed on failure: only a better guess.
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if now == IDLE => return duty,
                Ok(_) => return Duty::Nothing,
                Err(seen) => now = seen,
            }
        }
    }

    /// The pool took the core from the queue and will step it.
    pub fn claim_queued(&self) {
        // ORDERING: AcqRel: sees what notifiers wrote before `signal`, and how the last stepping
        // thread left the core.
        let before = self.0.swap(RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before, QUEUED);
    }

    /// Ends the stepping; false if there was a notification meanwhile: step again, still claimed.
    #[must_use]
    pub fn release(&self) -> bool {
        // ORDERING: Release: the next thread that claims the core sees it as it is left here.
        // Acquire on failure, through the swap: sees what the notifier wrote.
        let released =
            self.0.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !released {
            let before = self.0.swap(RUNNING, Ordering::AcqRel);
            debug_assert_eq!(before, RUNNING_NOTIFIED);
        }
        released
    }

    /// Ends the stepping and leaves the core for the pool; the caller puts it into the queue.
    pub fn requeue(&self) {
        // ORDERING: AcqRel: as `release`; a notification meanwhile is taken along, because the
        // pool steps the core again anyway.
        let before = self.0.swap(QUEUED, Ordering::AcqRel);
        debug_assert!(before == RUNNING || before == RUNNING_NOTIFIED);
    }

    /// Whether nobody steps the core or is about to.
    pub fn is_idle(&self) -> bool {
        // ORDERING: Acquire: who then looks at the core sees it as the last thread left it.
        self.0.load(Ordering::Acquire) == IDLE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_notification_while_running_makes_the_release_fail_once() {
        let state = RunState::default();
        assert_eq!(state.notify(), Duty::Queue);
        assert_eq!(state.notify(), Duty::Nothing);
        assert!(!state.is_idle());
        state.claim_queued();
        assert_eq!(state.claim_or_notify(), Duty::Nothing);
        assert!(!state.release());
        assert!(state.release());
        assert!(state.is_idle());
    }

    #[test]
    fn an_idle_core_is_stepped_by_the_notifier_and_may_go_to_the_queue() {
        let state = RunState::default();
        assert_eq!(state.claim_or_notify(), Duty::Step);
        assert_eq!(state.notify(), Duty::Nothing);
        state.requeue();
        assert_eq!(state.claim_or_notify(), Duty::Nothing);
        state.claim_queued();
        assert!(state.release(), "what came before the claim needs no second look");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32;

    /// A doorbell is never lost: after two rings from two threads and a pool thread that serves
    /// what is queued, the core has seen the last value of both.
    #[test]
    fn every_ring_is_seen_by_the_thread_that_steps() {
        loom::model(|| {
            let shared = Arc::new((RunState::default(), AtomicU32::new(0), AtomicU32::new(0)));
            let ring = |bell: fn(&(RunState, AtomicU32, AtomicU32)) -> &AtomicU32| {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || {
                    bell(&shared).store(1, Ordering::Relaxed);
                    match shared.0.notify() {
                        Duty::Queue => Some(step_until_idle(&shared)),
                        _ => None,
                    }
                })
            };
            let first = ring(|shared| &shared.1);
            let second = ring(|shared| &shared.2);
            let steps = [first.join().unwrap(), second.join().unwrap()];
            let last = steps.iter().flatten().max().copied();
            assert_eq!(last, Some((1, 1)), "{steps:?}");
            assert!(shared.0.is_idle());
        });
    }

    /// The same where the ringing thread steps the core itself and hands it over half-way, as for
    /// a task that it may not run.
    #[test]
    fn a_ring_during_the_hand_over_is_seen_by_the_pool() {
        loom::model(|| {
            let shared = Arc::new((RunState::default(), AtomicU32::new(0), AtomicU32::new(0)));
            let inline = Arc::clone(&shared);
            let first = loom::thread::spawn(move || {
                inline.1.store(1, Ordering::Relaxed);
                match inline.0.claim_or_notify() {
                    Duty::Step => {
                        inline.0.requeue();
                        Some(step_until_idle(&inline))
                    }
                    _ => None,
                }
            });
            shared.2.store(1, Ordering::Relaxed);
            let second = match shared.0.notify() {
                Duty::Queue => Some(step_until_idle(&shared)),
                _ => None,
            };
            let steps = [first.join().unwrap(), second];
            assert_eq!(steps.iter().flatten().max().copied(), Some((1, 1)), "{steps:?}");
            assert!(shared.0.is_idle());
        });
    }

    fn step_until_idle(shared: &(RunState, AtomicU32, AtomicU32)) -> (u32, u32) {
        shared.0.claim_queued();
        loop {
            let seen = (shared.1.load(Ordering::Relaxed), shared.2.load(Ordering::Relaxed));
            if shared.0.release() {
                return seen;
            }
        }
    }
}
