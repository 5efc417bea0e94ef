//! Who may run a registered callable, and who gives it back: one word per registration.
//!
//! ```text
//!             enter ──▶ runs + 1
//!   Live ─────────────────────────────┐
//!    │  leave ──▶ runs - 1            │
//!    │ retire: no runs                │ retire: runs > 0
//!    ▼                                ▼
//!   Retired, 0 runs ◀── leave ── Retired, runs > 0
//!    └─ whoever got it there gives the callable back, once
//! ```
//!
//! Retiring and entering are both one read-modify-write of this word, so of a run and an
//! unregistration one comes first: a run that is in is waited for, one that comes later is refused.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// Nobody enters any more. The bits below count runs.
const RETIRED: u64 = 1 << 63;

/// The word of one registration. Begins as live, without runs.
#[derive(Debug)]
pub struct LeaseGate(AtomicU64);

/// What [`LeaseGate::retire`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// No run is in: the caller gives the callable back.
    Now,
    /// Runs are in: the last one to leave gives it back.
    AfterRuns,
    /// It was retired before; somebody else gives it back, or has.
    Before,
}

impl Default for LeaseGate {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl LeaseGate {
    /// Takes a lease for a run; false after [`retire`](Self::retire). Each success is followed by
    /// one [`leave`](Self::leave).
    #[must_use]
    pub fn enter(&self) -> bool {
        // ORDERING: Relaxed: the value is only the guess for the exchange below.
        let mut now = self.0.load(Ordering::Relaxed);
        while now & RETIRED == 0 {
            // ORDERING: Acquire: the run sees the callable as the one that published it left it.
            // Relaxed on failure: only a better guess.
            match self.0.compare_exchange_weak(now, now + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// Gives a lease back; true if the caller has to give the callable back.
    #[must_use]
    pub fn leave(&self) -> bool {
        // ORDERING: AcqRel: Release, so that whoever gives the callable back does so after all that
        // this run did with it; Acquire, because that may be this thread, after all other runs.
        self.0.fetch_sub(1, Ordering::AcqRel) == RETIRED | 1
    }

    /// Lets nobody enter from now on.
    pub fn retire(&self) -> Retired {
        // ORDERING: AcqRel: as `leave`; the caller may be the one that gives the callable back.
        match self.0.fetch_or(RETIRED, Ordering::AcqRel) {
            0 => Retired::Now,
            before if before & RETIRED == 0 => Retired::AfterRuns,
            _ => Retired::Before,
        }
    }

    /// Whether nobody enters any more.
    pub fn is_retired(&self) -> bool {
        // ORDERING: Relaxed: nothing is accessed on the strength of it.
        self.0.load(Ordering::Relaxed) & RETIRED != 0
    }

    /// Leases that are out, for reports.
    pub fn leases(&self) -> u64 {
        // ORDERING: Relaxed: a number for people.
        self.0.load(Ordering::Relaxed) & !RETIRED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_runs_the_one_that_retires_gives_it_back() {
        let gate = LeaseGate::default();
        assert!(gate.enter());
        assert!(!gate.leave());
        assert_eq!(gate.retire(), Retired::Now);
        assert_eq!(gate.retire(), Retired::Before);
        assert!(gate.is_retired() && !gate.enter());
    }

    #[test]
    fn with_runs_the_last_one_that_leaves_gives_it_back() {
        let gate = LeaseGate::default();
        assert!(gate.enter() && gate.enter());
        assert_eq!(gate.retire(), Retired::AfterRuns);
        assert_eq!((gate.enter(), gate.leases()), (false, 2));
        assert!(!gate.leave());
        assert!(gate.leave());
        assert_eq!(gate.retire(), Retired::Before);
    }
}

#[cfg(all(test, loom))]
#[expect(unsafe_code, reason = "the model is to show that nobody uses what is gone")]
mod models {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::atomic::AtomicU32;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    /// A registration: what runs use, how often it was given back, and who is to be told of it.
    struct Registration {
        gate: LeaseGate,
        placement: UnsafeCell<u32>,
        given_back: AtomicU32,
        /// Somebody waits; as the completer of a registration, put there under the lock under which
        /// it is retired.
        end: Mutex<Option<()>>,
        told: AtomicU32,
    }

    // SAFETY: the placement is used under a lease or by the one that gives it back, which is what
    // the model is to show; loom reports it where that is not so.
    unsafe impl Sync for Registration {}

    impl Registration {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                gate: LeaseGate::default(),
                placement: UnsafeCell::new(7),
                given_back: AtomicU32::new(0),
                end: Mutex::new(None),
                told: AtomicU32::new(0),
            })
        }

        fn give_back(&self) {
            // SAFETY: see `Sync`.
            self.placement.with_mut(|it| unsafe { *it = 0 });
            self.given_back.fetch_add(1, Ordering::Relaxed);
            if self.end.lock().unwrap().take().is_some() {
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }

        fn run(&self) -> bool {
            if !self.gate.enter() {
                return false;
            }
            // SAFETY: see `Sync`.
            self.placement.with(|it| assert_eq!(unsafe { *it }, 7, "a run of what is gone"));
            if self.gate.leave() {
                self.give_back();
            }
            true
        }

        fn unregister(&self) -> bool {
            let mut end = self.end.lock().unwrap();
            let retired = self.gate.retire();
            if retired == Retired::Before {
                return false;
            }
            *end = Some(());
            drop(end);
            if retired == Retired::Now {
                self.give_back();
            }
            true
        }
    }

    #[test]
    fn runs_and_an_unregistration_meet_and_it_is_given_back_once() {
        loom::model(|| {
            let it = Registration::new();
            let runs = [0, 1].map(|_| {
                let it = Arc::clone(&it);
                thread::spawn(move || it.run())
            });
            assert!(it.unregister());
            for run in runs {
                run.join().unwrap();
            }
            assert_eq!(it.given_back.load(Ordering::Relaxed), 1);
            assert_eq!(it.told.load(Ordering::Relaxed), 1, "who unregisters is told, once");
            assert!(!it.run());
        });
    }

    #[test]
    fn of_two_unregistrations_beside_a_run_one_counts() {
        loom::model(|| {
            let it = Registration::new();
            let other = Arc::clone(&it);
            let other = thread::spawn(move || other.unregister());
            let runner = Arc::clone(&it);
            let runner = thread::spawn(move || runner.run());
            let first = it.unregister();
            let second = other.join().unwrap();
            runner.join().unwrap();
            assert!(first != second, "one of them is told that it came second");
            assert_eq!(it.given_back.load(Ordering::Relaxed), 1);
            assert_eq!(it.told.load(Ordering::Relaxed), 1);
        });
    }
}
