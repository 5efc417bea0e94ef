//! The cores of a device and the few threads on which their kernels run.
//!
//! A task's doorbell puts the core into the queue of the AICPU thread that rings (`inline_queue`). When such a thread
//! has nothing better to do, it runs the kernels in its queue that are known to be brief
//! (`brief_kernels`), then those in other queues; any other kernel goes from there into the queue of the pool, whose threads
//! carry the tasks out. Who has taken a core out of a queue has it until the task's end (see `core`).
//! Bring-up and exit are stepped by the thread that rings, because
//! they never block; what a core is told while it is in hand waits (`unheard`). An idle pool thread looks around for a moment
//! and then sleeps.
//!
//! A kernel may block on the other cores of its cluster (push and pop, spec trb §7.6), and blocks
//! that start together on one another, wherever they run. So there are at least three threads, and
//! [`CorePool::relieve`] adds one where no thread is free and a queued core has a peer that has
//! been inside a kernel for long, or any core has for very long. There are never more threads than
//! cores, and with that many every core can run. Where a run does not move, a kernel that was taken for brief may be what
//! blocks: [`CorePool::distrust`] then leaves all of the run's kernels to the pool.
//!
//! Under a seed the pool's threads take turns: see `in_turns`.
//!
//! Waking: `Queue` is under a mutex and says how many threads sleep. A thread goes to sleep only
//! after it has seen the queue empty under that mutex, and a ring pushes under it, so either the
//! thread sees the core or the ring sees the sleeper.

use std::cell::Cell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::{Chip, Dispatch};

use super::brief_kernels::BriefKernels;
use super::core::{
    Busy, CoreFault, FaultReceiver, Reach, SimCore, Step, Surroundings, cores_of_cluster, identity,
};
use super::event::Event;
use super::inline_queue::InlineQueue;
use super::kernel_hooks::{self, CoreIdentity, PipeStorage};
use super::parking;
use super::registers::{Doorbell, Registers};
use super::turns::Turns;
use crate::foreign_code::thread_start;
use power::Power;
use unheard::Unheard;

/// Threads that a pool starts with: the cores of one cluster can run together.
const THREADS_MIN: usize = 3;
/// How long a kernel must have been running before a queued peer gets a thread of its own.
///
/// Far above the time of a usual kernel, far below what a person waits for.
const PEER_BLOCKED_NANOSECONDS: u64 = 2_000_000;
/// The same where the core that is waited for may be any one: longer, because then a kernel that
/// just takes its time costs a thread too.
const BLOCKED_NANOSECONDS: u64 = 20_000_000;
/// How long an idle thread looks at the queue before it sleeps.
const LOOK_BEFORE_SLEEP: Duration = Duration::from_micros(5);
/// Of so many times that a thread runs kernels, it measures one.
const MEASURED: u32 = 32;

thread_local! {
    /// Which queue of the device's [`InlineQueue`] is this thread's, if it is an AICPU thread in a run.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
    /// How often this thread has run kernels.
    static BATCHES: Cell<u32> = const { Cell::new(0) };
}

/// What the threads of a pool share.
pub struct CorePool<C: Chip> {
    chip: PhantomData<C>,
    cores: Box<[SimCore]>,
    registers: Registers,
    /// Told about everything that cores do for the AICPU.
    pub event: Event,
    pipes: Arc<PipeStorage>,
    inline: InlineQueue,
    /// Cores that have something to look at once they are out of hand.
    unheard: Unheard,
    brief: BriefKernels,
    /// Whether AICPU threads run kernels.
    is_trusting: AtomicBool,
    queue: Mutex<Queue>,
    available: Condvar,
    /// Length of the queue, to be looked at without the lock.
    queued: AtomicUsize,
    /// Clusters of the current run.
    clusters: AtomicUsize,
    /// What the cores are switched on for.
    power: Power,
    faults: OnceLock<Weak<dyn FaultReceiver>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Who goes on when, if a seed decides it.
    turns: Option<Turns>,
}

/// Cores that have something to do, and who is there to do it.
#[derive(Debug)]
struct Queue {
    /// Never longer than the number of cores: a core is in it at most once.
    waiting: VecDeque<usize>,
    sleepers: usize,
    /// Threads that were started and have not asked for work yet.
    starting: usize,
    threads: usize,
    stopping: bool,
}

/// The pool cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread for the simulated cores")]
pub struct PoolError(#[from] std::io::Error);

impl From<PoolError> for std::io::Error {
    fn from(PoolError(error): PoolError) -> Self {
        error
    }
}

impl<C: Chip> CorePool<C> {
    /// A pool for all cores of the chip, started; with a seed, one that takes turns.
    ///
    /// # Errors
    ///
    /// [`PoolError`] where the system refuses a thread; those already started are stopped.
    pub fn start(interleaving_seed: Option<u64>) -> Result<Arc<Self>, PoolError> {
        let queue = Queue {
            waiting: VecDeque::with_capacity(C::MAX_CORES),
            sleepers: 0,
            starting: 0,
            threads: 0,
            stopping: false,
        };
        let pool = Arc::new(Self {
            chip: PhantomData,
            cores: (0..C::MAX_CORES).map(SimCore::new).collect(),
            registers: Registers::new(C::MAX_CORES),
            event: Event::default(),
            pipes: Arc::default(),
            inline: InlineQueue::default(),
            unheard: Unheard::default(),
            brief: BriefKernels::default(),
            is_trusting: AtomicBool::new(true),
            queue: Mutex::new(queue),
            available: Condvar::new(),
            queued: AtomicUsize::new(0),
            clusters: AtomicUsize::new(0),
            power: Power::default(),
            faults: OnceLock::new(),
            threads: Mutex::new(Vec::new()),
            turns: interleaving_seed.map(Turns::new),
        });
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..parallel.clamp(THREADS_MIN, C::MAX_CORES) {
            if let Err(error) = pool.add_thread() {
                pool.stop();
                return Err(error.into());
            }
        }
        Ok(pool)
    }

    /// Names who is told about faults of cores. Only the first call has an effect.
    pub fn report_faults_to(&self, receiver: Weak<dyn FaultReceiver>) {
        // A second receiver would be a second device on the same pool, which nothing builds.
        let _first_wins = self.faults.set(receiver);
    }

    /// The register blocks of the cores.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// Number of threads now.
    pub fn thread_count(&self) -> usize {
        self.queue().threads
    }

    /// The kernel that has been running for longest.
    pub fn longest_kernel(&self) -> Option<Busy> {
        self.cores.iter().filter_map(SimCore::busy).max_by_key(|busy| busy.nanoseconds)
    }

    /// The AICPU wrote a word that a core looks at.
    #[inline]
    pub fn ring(self: &Arc<Self>, Doorbell { core, word }: Doorbell) {
        match (word.decode(), &self.turns) {
            (Ok(Dispatch::Task(id)), None) => {
                if let Some(core) = self.cores.get(core) {
                    core.give(id);
                }
                match SEAT.get() {
                    Some(seat) => self.inline.push(seat, core),
                    None => self.enqueue(core),
                }
            }
            _ => self.notify(core),
        }
    }

    /// Adds a thread if a queued core needs one to make progress. Cheap; called while waiting.
    pub fn relieve(self: &Arc<Self>) {
        if SEAT.get().is_none() {
            // It cannot run them, and whoever has dispatched them may be gone.
            self.leave_to_pool();
        }
        // ORDERING: Relaxed: a hint; the queue is looked at under its lock below.
        if self.queued.load(Ordering::Relaxed) == 0 {
            return;
        }
        let needed = {
            let queue = self.queue();
            let free = queue.sleepers + queue.starting > 0;
            let waits = !queue.waiting.is_empty();
            waits && !free && queue.threads < self.cores.len() && self.is_waited_for(&queue)
        };
        if needed && let Err(error) = self.add_thread() {
            tracing::warn!(%error, "cannot start another thread for the simulated cores");
        }
    }

    /// Whether a core in the queue may be what a kernel waits for that has been running for long.
    fn is_waited_for(&self, queue: &Queue) -> bool {
        if self.longest_kernel().is_some_and(|busy| busy.nanoseconds > BLOCKED_NANOSECONDS) {
            return true;
        }
        // ORDERING: Relaxed: written before the run started.
        let clusters = self.clusters.load(Ordering::Relaxed);
        queue.waiting.iter().filter_map(|&index| identity(index, clusters)).any(|waiting| {
            cores_of_cluster(waiting.cluster, clusters)
                .into_iter()
                .filter_map(|peer| self.cores.get(peer)?.busy())
                .any(|busy| busy.nanoseconds > PEER_BLOCKED_NANOSECONDS)
        })
    }

    /// Stops all threads and waits for them. No kernel may be running for ever.
    pub fn stop(&self) {
        self.queue().stopping = true;
        self.available.notify_all();
        let threads = core::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the simulated cores panicked");
            }
        }
    }

    /// Makes the calling thread one that kernels may run on. To be called as it starts: the first time takes
    /// the lock of the system's loader, which a destructor that does not return may hold.
    pub fn attach_thread(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let before_wait = move |identity: CoreIdentity| {
            let Some(busy) = pool.cores.get(identity.index).and_then(SimCore::busy) else { return };
            pool.brief.waits(busy.function);
            if let Some(turns) = &pool.turns {
                turns.step_outside(busy.core, busy.function);
            }
        };
        kernel_hooks::attach(Arc::clone(&self.pipes), Box::new(before_wait));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    #[cold]
    fn enqueue(&self, index: usize) {
        let mut queue = self.queue();
        queue.waiting.push_back(index);
        // ORDERING: Relaxed: a hint for `relieve` and for threads that look around.
        self.queued.store(queue.waiting.len(), Ordering::Relaxed);
        let wake = queue.sleepers > 0;
        drop(queue);
        if wake {
            self.available.notify_one();
        }
    }

    /// The next core to step; `None` when the pool stops.
    fn next(&self) -> Option<usize> {
        // ORDERING: Relaxed: a hint; the queue is looked at under its lock below.
        parking::spin(|| self.queued.load(Ordering::Relaxed) != 0, LOOK_BEFORE_SLEEP);
        let mut queue = self.queue();
        loop {
            if let Some(index) = queue.waiting.pop_front() {
                // ORDERING: Relaxed: as in `enqueue`.
                self.queued.store(queue.waiting.len(), Ordering::Relaxed);
                return Some(index);
            }
            if queue.stopping {
                return None;
            }
            queue.sleepers += 1;
            queue = self.available.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.sleepers -= 1;
        }
    }

    fn add_thread(self: &Arc<Self>) -> Result<(), std::io::Error> {
        let mut threads = lock(&self.threads);
        {
            let mut queue = self.queue();
            queue.threads += 1;
            queue.starting += 1;
        }
        let name = format!("sim-core-{}", threads.len());
        let pool = Arc::clone(self);
        match std::thread::Builder::new().name(name).spawn(move || pool.serve()) {
            Ok(thread) => {
                threads.push(thread);
                Ok(())
            }
            Err(error) => {
                let mut queue = self.queue();
                queue.threads -= 1;
                queue.starting -= 1;
                Err(error)
            }
        }
    }

    /// What a pool thread does.
    fn serve(self: &Arc<Self>) {
        thread_start::started();
        self.attach_thread();
        self.queue().starting -= 1;
        while let Some(index) = self.next() {
            if let Some(turns) = self.turns.as_ref().filter(|turns| turns.wants_kernel(index)) {
                self.call_kernels(turns, index);
                self.event.signal();
                continue;
            }
            if self.turns.is_some() {
                self.step_without_turns(index);
            } else {
                // SAFETY: who takes a core out of a queue has it.
                let _waits = unsafe { self.step(index, Reach::ThroughKernels) };
            }
            // A waiter for the end of the run looks at the states, not only at the words.
            self.event.signal();
        }
    }

    /// # Safety
    ///
    /// As for [`SimCore::step`].
    unsafe fn step(&self, index: usize, reach: Reach) -> Step {
        // SAFETY: by the contract.
        self.surroundings(index)
            .map_or(Step::Waits, |(core, around)| unsafe { core.step(around, reach) })
    }

    /// A core, and what it needs to take a step.
    #[inline]
    fn surroundings(&self, index: usize) -> Option<(&SimCore, Surroundings<'_>)> {
        let (core, registers) = (self.cores.get(index)?, self.registers.core(index)?);
        let (event, brief) = (&self.event, &self.brief);
        Some((core, Surroundings { registers, event, faults: self, brief }))
    }
}

impl<C: Chip> FaultReceiver for CorePool<C> {
    fn core_fault(&self, fault: CoreFault) {
        match self.faults.get().and_then(Weak::upgrade) {
            Some(receiver) => receiver.core_fault(fault),
            None => tracing::error!(?fault, "a simulated core failed"),
        }
    }
}

impl<C: Chip> core::fmt::Debug for CorePool<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CorePool").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Locks; a thread that panicked left data that is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

mod in_turns;
mod inline;
mod power;
#[cfg(test)]
mod tests;
mod unheard;
