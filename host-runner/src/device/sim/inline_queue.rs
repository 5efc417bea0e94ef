//! The cores whose tasks wait for the thread that has dispatched them, a queue for each such thread.
//!
//! A thread takes from its own queue first. Others may take from it too, so nothing waits for a thread that does not
//! come back from a kernel or from code of the user. A core is in one queue at most: it enters one with the doorbell of
//! its task, and who takes it out carries the task out.
//!
//! Only its thread adds to a queue, which is two plain stores; to take a core out costs one exchange, whoever does it.
//! A queue has more cells than there are cores, so it is never full. A cell is written again when all cores behind
//! it were taken, one of them at least twice: an exchange that still finds its head has read the right cell.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Cores that a queue has room for.
pub const CORES_MAX: usize = 128;
/// Queues: more than AICPU threads of any chip.
pub const SEATS: usize = if cfg!(loom) { 2 } else { 8 };

/// Cells of a queue; a model has fewer cores.
const CELLS: usize = if cfg!(loom) { 2 } else { CORES_MAX };

/// One thread's queue.
#[derive(Debug)]
struct Seat {
    own: Own,
    taken: Taken,
}

/// What the thread writes.
#[derive(Debug)]
#[repr(align(128))]
struct Own {
    /// Cores added so far.
    tail: AtomicU64,
    cells: [AtomicU8; CELLS],
}

/// What everybody writes who takes a core.
#[derive(Debug)]
#[repr(align(128))]
struct Taken {
    /// Cores taken so far.
    head: AtomicU64,
}

/// All queues of a device.
#[derive(Debug)]
pub struct InlineQueue {
    seats: [Seat; SEATS],
}

impl Default for InlineQueue {
    fn default() -> Self {
        let seat = |_| Seat {
            own: Own { tail: AtomicU64::new(0), cells: std::array::from_fn(|_| AtomicU8::new(0)) },
            taken: Taken { head: AtomicU64::new(0) },
        };
        Self { seats: std::array::from_fn(seat) }
    }
}

impl InlineQueue {
    /// Adds a core to a thread's queue. Only that thread.
    #[inline]
    pub fn push(&self, seat: usize, core: usize) {
        let own = &self.seats[seat % SEATS].own;
        // ORDERING: Relaxed: nobody else writes it.
        let tail = own.tail.load(Ordering::Relaxed);
        // ORDERING: Relaxed: the store of the tail publishes it. CAST: below `CORES_MAX`.
        own.cells[cell(tail)].store(core as u8, Ordering::Relaxed);
        // ORDERING: Release: who takes the core sees what its thread wrote before.
        own.tail.store(tail + 1, Ordering::Release);
    }

    /// Takes the core out of a thread's queue that was added first.
    #[inline]
    pub fn pop(&self, seat: usize) -> Option<usize> {
        let Seat { own, taken } = &self.seats[seat % SEATS];
        // ORDERING: Acquire: whoever has moved the head so far had seen the tail beyond it.
        let mut head = taken.head.load(Ordering::Acquire);
        loop {
            // ORDERING: Acquire: see `push`.
            if head >= own.tail.load(Ordering::Acquire) {
                return None;
            }
            // ORDERING: Relaxed: the tail has published it; the exchange confirms it.
            let core = own.cells[cell(head)].load(Ordering::Relaxed);
            // ORDERING: AcqRel: the thread of the queue, which learns from the end of a task that
            // cores were taken, may then write the cells of all that were taken before. Acquire on
            // failure: as the first load.
            match taken.head.compare_exchange_weak(
                head,
                head + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(core.into()),
                Err(now) => head = now,
            }
        }
    }

    /// Takes a core out of the queue of any thread but this one.
    pub fn steal(&self, seat: usize) -> Option<usize> {
        (1..SEATS).find_map(|offset| self.pop(seat + offset))
    }

    /// How many cores are in the queues.
    pub fn count(&self) -> u64 {
        // ORDERING: Relaxed: a hint.
        let count = |Seat { own, taken }: &Seat| {
            let tail = own.tail.load(Ordering::Relaxed);
            tail.saturating_sub(taken.head.load(Ordering::Relaxed))
        };
        self.seats.iter().map(count).sum()
    }
}

/// The cell of a position.
#[inline]
fn cell(position: u64) -> usize {
    // CAST: below the number of cells.
    (position % CELLS as u64) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_has_put_in_comes_out_once_for_it_or_for_another() {
        let queue = InlineQueue::default();
        for round in 0..100 {
            for core in [0, 64, 63, 107] {
                queue.push(2, core);
            }
            assert_eq!((queue.count(), queue.pop(1)), (4, None), "{round}");
            assert_eq!((queue.pop(2), queue.steal(1), queue.steal(2)), (Some(0), Some(64), None));
            assert_eq!((queue.pop(2), queue.pop(2), queue.pop(2)), (Some(63), Some(107), None));
        }
    }

    #[test]
    fn of_two_threads_that_take_each_core_goes_to_one() {
        let queue = InlineQueue::default();
        for _ in 0..200 {
            (0..72).for_each(|core| queue.push(0, core));
            let take = |seat| {
                let mut cores = Vec::new();
                while let Some(core) = if seat == 0 { queue.pop(0) } else { queue.steal(seat) } {
                    cores.push(core);
                }
                cores
            };
            let mut all = std::thread::scope(|scope| {
                let other = scope.spawn(|| take(1));
                let mut own = take(0);
                own.extend(other.join().unwrap());
                own
            });
            all.sort_unstable();
            assert_eq!(all, (0..72).collect::<Vec<_>>());
        }
    }
}

#[cfg(all(test, loom))]
#[expect(unsafe_code, reason = "the model is to show that the queue orders what the tasks touch")]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32;
    use loom::thread;

    /// Two cores: what each was given to do, and how often it has done it.
    #[derive(Default)]
    struct Machine {
        queue: InlineQueue,
        tasks: [UnsafeCell<u32>; 2],
        ended: [AtomicU32; 2],
    }

    // SAFETY: what the model checks: queue and ends order all accesses to the cells, or loom stops.
    unsafe impl Sync for Machine {}

    impl Machine {
        /// Gives a core its next task.
        fn dispatch(&self, core: usize) {
            // SAFETY: loom checks that nobody else is there.
            self.tasks[core].with_mut(|task| unsafe { *task += 1 });
            self.queue.push(0, core);
        }

        /// Carries out the task of a core.
        fn carry_out(&self, core: usize) {
            // SAFETY: loom checks that nobody writes.
            let task: u32 = self.tasks[core].with(|task| unsafe { *task });
            assert_eq!(self.ended[core].load(Ordering::Relaxed) + 1, task, "one task, twice");
            self.ended[core].store(task, Ordering::Release);
        }
    }

    /// The thread of the queue dispatches three tasks to two cores, the third when the first has
    /// ended, and another thread helps: each task is carried out once, by one that sees it, though the
    /// third one's cell is the first one's.
    ///
    /// Seen to fail with the store of the tail or its load Relaxed, and with a head that is stored instead of
    /// exchanged; not with a Relaxed exchange, since the end of the task orders the same here.
    #[test]
    fn each_task_is_carried_out_once_and_by_one_that_sees_it() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let machine = Arc::new(Machine::default());
            let thief = {
                let machine = Arc::clone(&machine);
                thread::spawn(move || {
                    for _ in 0..2 {
                        if let Some(core) = machine.queue.steal(1) {
                            machine.carry_out(core);
                        }
                    }
                })
            };
            machine.dispatch(0);
            machine.dispatch(1);
            for core in [0, 1] {
                if let Some(core) = machine.queue.pop(0) {
                    machine.carry_out(core);
                }
                // ORDERING: Acquire: as the AICPU reads COND.
                if core == 0 && machine.ended[0].load(Ordering::Acquire) == 1 {
                    machine.dispatch(0);
                }
            }
            thief.join().unwrap();
            while let Some(core) = machine.queue.pop(0) {
                machine.carry_out(core);
            }
            let given = |core: usize| {
                // SAFETY: loom checks that nobody else is there.
                machine.tasks[core].with(|task| unsafe { *task })
            };
            for core in [0, 1] {
                assert_eq!(machine.ended[core].load(Ordering::Relaxed), given(core));
            }
        });
    }
}
