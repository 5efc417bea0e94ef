//! All interleavings of loading, running, unloading and giving up.
//!
//! The code of the slot is a loom cell: writing it is loading or taking away, reading it is running
//! it. Loom fails a model in which the two can meet, or in which a runner may see code that was not
//! written before. Seen to fail with the exchange of [`SlotGate::change`] weakened to `Acquire`, to
//! `Release` and to `Relaxed`.

use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::*;

/// A slot with the code in it: the generation, 0 where there is none.
struct Shared {
    gate: SlotGate,
    code: UnsafeCell<u32>,
}

// SAFETY: what the models check: the gate orders all accesses to the cell, or loom stops.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { gate: SlotGate::default(), code: UnsafeCell::new(0) })
    }

    fn write(&self, generation: u32) {
        // SAFETY: loom checks that nobody else is there.
        self.code.with_mut(|code| unsafe { *code = generation });
    }

    /// Runs the code.
    fn run(&self) -> u32 {
        // SAFETY: loom checks that nobody writes.
        self.code.with(|code| unsafe { *code })
    }

    /// Loads if the slot is empty, runs what was loaded, leaves.
    fn load_and_run(&self, generation: u32) -> Ended {
        let Ok(filling) = self.gate.begin_load(generation) else { return Ended::default() };
        assert_eq!(self.run(), 0, "the slot is empty");
        self.write(generation);
        match filling.publish() {
            Ok(inside) => {
                assert_eq!(self.run(), generation);
                self.leave(inside).and(Ended { loaded: 1, unloaded: 0 })
            }
            Err(duty) => self.empty(duty).and(Ended { loaded: 1, unloaded: 0 }),
        }
    }

    /// Runs code of this generation, if it is there.
    fn enter_and_run(&self, generation: u32) -> Ended {
        match self.gate.enter(Some(generation)) {
            Ok(inside) => {
                assert_eq!(self.run(), generation, "the code of the handle, and no other");
                self.leave(inside)
            }
            Err(_) => Ended::default(),
        }
    }

    fn unload(&self) -> Ended {
        match self.gate.begin_unload(None) {
            Unload::Now(duty) => self.empty(duty),
            _ => Ended::default(),
        }
    }

    fn leave(&self, inside: Inside<'_>) -> Ended {
        inside.leave().map_or(Ended::default(), |duty| self.empty(duty))
    }

    fn empty(&self, duty: Emptying<'_>) -> Ended {
        assert_ne!(self.run(), 0, "code is taken away once");
        self.write(0);
        duty.finish();
        Ended { loaded: 0, unloaded: 1 }
    }
}

/// What a thread has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Ended {
    loaded: u32,
    unloaded: u32,
}

impl Ended {
    fn and(self, other: Self) -> Self {
        Self { loaded: self.loaded + other.loaded, unloaded: self.unloaded + other.unloaded }
    }
}

type Role = fn(&Shared) -> Ended;

/// Runs each role on a thread of its own, the first one here; returns what all have done.
fn play(shared: &Arc<Shared>, roles: &[Role]) -> Ended {
    let others: Vec<_> = roles[1..]
        .iter()
        .map(|role| {
            let (shared, role) = (Arc::clone(shared), *role);
            thread::spawn(move || role(&shared))
        })
        .collect();
    let first = roles[0](shared);
    others.into_iter().fold(first, |sum, other| sum.and(other.join().unwrap()))
}

/// Nothing is left of the slot's code, or all of it is.
fn assert_settled(shared: &Shared, ended: Ended) {
    let Occupancy { state, inside, generation } = shared.gate.look();
    assert_eq!(inside, 0);
    assert_eq!(shared.run(), generation);
    match state {
        State::Empty => assert_eq!(ended.loaded, ended.unloaded),
        State::Live => assert_eq!(ended.loaded, ended.unloaded + 1),
        other => panic!("{other:?} when everybody has left"),
    }
}

/// Checks with preemptions bounded: unbounded, three threads of a few exchanges take hours.
fn check(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn code_that_is_loaded_run_and_unloaded_at_once_is_complete_while_anybody_is_in_it() {
    check(|| {
        let shared = Shared::new();
        let ended = play(
            &shared,
            &[
                |shared| shared.load_and_run(1),
                |shared| shared.enter_and_run(1),
                |shared| shared.unload(),
            ],
        );
        assert_settled(&shared, ended);
    });
}

#[test]
fn two_unloads_during_two_runs_take_the_code_away_once() {
    check(|| {
        let shared = Shared::new();
        let loaded = shared.load_and_run(1);
        let ended = play(
            &shared,
            &[
                |shared| shared.enter_and_run(1).and(shared.enter_and_run(1)),
                |shared| shared.unload(),
                |shared| shared.unload(),
            ],
        );
        assert_settled(&shared, loaded.and(ended));
        assert_eq!(shared.gate.look().state, State::Empty, "an unload is never lost");
        assert_eq!(ended.unloaded, 1);
    });
}

#[test]
fn a_reload_never_lets_a_handle_of_the_code_before_it_in() {
    check(|| {
        let shared = Shared::new();
        let loaded = shared.load_and_run(1);
        let ended = play(
            &shared,
            &[
                |shared| shared.unload().and(shared.load_and_run(2)),
                |shared| shared.enter_and_run(1).and(shared.enter_and_run(2)),
                |shared| match shared.gate.retire() {
                    Ok(Some(duty)) => shared.empty(duty),
                    _ => Ended::default(),
                },
            ],
        );
        assert_settled(&shared, loaded.and(ended));
    });
}

#[test]
fn a_quarantined_slot_is_emptied_by_the_thread_that_was_lost_in_it() {
    check(|| {
        let shared = Shared::new();
        let ended = play(
            &shared,
            &[
                |shared| shared.load_and_run(1),
                |shared| {
                    shared.gate.quarantine();
                    shared.enter_and_run(1)
                },
                |shared| shared.unload().and(shared.load_and_run(2)),
            ],
        );
        assert_settled(&shared, ended);
    });
}
