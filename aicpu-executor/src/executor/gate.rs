//! The gate of a run: who is who, when the others may enter, and who leaves last.

use super::roll::{Arrival, Roll};
use crate::sync::{AtomicBool, Ordering};

/// Counts the threads of a run in and out.
#[derive(Debug, Default)]
pub(super) struct Gate {
    roll: Roll,
    open: AtomicBool,
}

impl Gate {
    /// Counts a thread in: one of the run `run`, 0 if that has no number, with `count` places.
    pub(super) fn arrive(&self, run: u32, count: usize) -> Arrival {
        self.roll.arrive(run, count)
    }

    /// Lets the other threads in.
    pub(super) fn open(&self) {
        // ORDERING: Release publishes the setup.
        self.open.store(true, Ordering::Release);
    }

    /// Whether the other threads may enter.
    pub(super) fn is_open(&self) -> bool {
        // ORDERING: Acquire: see `open`.
        self.open.load(Ordering::Acquire)
    }

    /// Counts a thread in that has no place of its own, if the run is under way.
    pub(super) fn join(&self, run: u32) -> Arrival {
        self.roll.join(run)
    }

    /// Whether other threads than the calling one have been counted in, of a run with this number.
    pub(super) fn is_shared(&self, run: u32) -> bool {
        self.roll.arrivals(run) != 1
    }

    /// Counts a thread out; true for the last one.
    pub(super) fn depart(&self, run: u32, count: usize) -> bool {
        self.roll.depart(run, count)
    }

    /// Makes the gate ready for the next run. Only the last thread.
    pub(super) fn close(&self, run: u32) {
        // ORDERING: Relaxed: `Roll::close` publishes it to whoever arrives next.
        self.open.store(false, Ordering::Relaxed);
        self.roll.close(run);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// What a run is set up with.
    struct Run {
        gate: Gate,
        setup: UnsafeCell<u32>,
    }

    // SAFETY: what the models check: the gate orders all accesses to the cell, or loom stops.
    unsafe impl Sync for Run {}

    impl Run {
        fn new() -> Arc<Self> {
            Arc::new(Self { gate: Gate::default(), setup: UnsafeCell::new(0) })
        }

        fn read(&self) -> u32 {
            // SAFETY: loom checks that nobody writes.
            self.setup.with(|setup| unsafe { *setup })
        }

        fn write(&self, value: u32) {
            // SAFETY: loom checks that nobody else is there.
            self.setup.with_mut(|setup| unsafe { *setup = value });
        }

        /// A thread's part of a run. Returns whether it was in it.
        fn take_part(&self, count: usize) -> bool {
            match self.gate.arrive(0, count) {
                Arrival::Surplus | Arrival::Busy => return false,
                Arrival::Member { index: 0 } => {
                    assert_eq!(self.read(), 0, "left as new");
                    self.write(1);
                    self.gate.open();
                }
                Arrival::Member { .. } => {
                    while !self.gate.is_open() {
                        thread::yield_now();
                    }
                }
            }
            assert_eq!(self.read(), 1, "set up for all");
            if self.gate.depart(0, count) {
                self.write(0);
                self.gate.close(0);
            }
            true
        }
    }

    /// Two threads in a run: the second enters when the first has set up, and the last one out has
    /// it for itself.
    ///
    /// Seen to fail with `open`, `is_open` or `depart` Relaxed, with a gate that is open before the
    /// set-up, and with the first thread out tearing down.
    #[test]
    fn h16_the_others_enter_after_the_set_up_and_the_last_one_out_takes_it_down_alone() {
        loom::model(|| {
            let run = Run::new();
            let other = {
                let run = Arc::clone(&run);
                thread::spawn(move || run.take_part(2))
            };
            assert!(run.take_part(2));
            assert!(other.join().unwrap());
            assert_eq!(run.read(), 0);
        });
    }

    /// A run after a run: a thread that comes while the first one lasts is sent away, and one that
    /// comes later finds everything as new.
    ///
    /// Seen to fail with `arrive` or the last store of `close` Relaxed, and with the gate closed
    /// before the set-up is gone.
    #[test]
    fn the_next_run_finds_everything_as_new() {
        loom::model(|| {
            let run = Run::new();
            let next = {
                let run = Arc::clone(&run);
                thread::spawn(move || run.take_part(1))
            };
            let first = run.take_part(1);
            let second = next.join().unwrap();
            assert!(first || second);
            assert_eq!(run.read(), 0);
        });
    }
}
