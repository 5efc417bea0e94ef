//! Simulated cores that are reached as those of a chip are: by words in memory.
//!
//! One thread looks at the registers of all cores of a run and takes each through its program; kernels run on
//! threads of their own, as many as there are kernels that run at one time, since a kernel may wait for that
//! of another core.
//!
//! ```text
//!  AICPU ── aicpu_ready ──▶ reports its id ── aicpu_regs_ready ──▶ idles ⟲ task: ACK, kernel, FIN
//!                                                                    └── exit word ──▶ EXITED
//! ```
//!
//! Sources: spec trb §6.1 to §6.4. The record and the payloads are in memory of the process, or in device
//! memory; nobody but the AICPU and the cores touches them meanwhile.

mod core_program;
mod hooks;
mod kernels;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use protocol::Chip;

use crate::memory::DeviceMemory;
use crate::message::{Answer, CoreLaunch};
use core_program::{Core, Moved, Task};
use kernels::Kernels;

/// Rounds without any change in which the processor is only offered to others.
const YIELDS: u32 = 64;

/// How long is slept after that, between two looks.
const NAP: Duration = Duration::from_micros(30);

/// The cores of a device.
#[derive(Debug)]
pub struct Cores {
    memory: Arc<DeviceMemory>,
    kernels: Kernels,
    /// Counts the calls of [`stop`](Self::stop): a launch looks whether there was one since it began.
    stops: AtomicU64,
}

/// How many stops there have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stops(u64);

/// What the threads of one launch share.
struct Launch<'a> {
    kernels: &'a Kernels,
    faults: Mutex<Vec<String>>,
    /// Kernel threads that wait for a task, which they take in turn.
    tasks: Mutex<Receiver<Task>>,
    /// Tasks that were handed out and not taken, minus threads that wait.
    idle: Mutex<usize>,
}

impl Cores {
    /// The cores of a device with this memory.
    #[must_use]
    pub fn new(memory: Arc<DeviceMemory>) -> Self {
        let kernels = Kernels::new(Arc::clone(&memory));
        Self { memory, kernels, stops: AtomicU64::new(0) }
    }

    /// The stops so far, for a launch that begins.
    #[must_use]
    pub fn stops(&self) -> Stops {
        // ORDERING: Relaxed: who stops a launch has begun it before, and asks both of one thread.
        Stops(self.stops.load(Ordering::Relaxed))
    }

    /// Runs the cores' program until all have left it, or there is another stop than those so far.
    ///
    /// # Errors
    ///
    /// What is wrong with the launch.
    pub fn run<C: Chip>(&self, launch: &CoreLaunch, stops: Stops) -> Result<Answer, String> {
        hooks::clear_storage();
        let mut cores = core_program::of_launch::<C>(&self.memory, launch)?;
        let (to_threads, tasks) = mpsc::channel();
        let shared = Launch {
            kernels: &self.kernels,
            faults: Mutex::default(),
            tasks: Mutex::new(tasks),
            idle: Mutex::new(0),
        };
        let (given, stopped) = thread::scope(|scope| {
            // Moved in: the threads leave when it is dropped.
            let to_threads = to_threads;
            let is_stopped = || self.stops() != stops;
            let hand_out = |task| shared.hand_out(scope, &to_threads, task);
            drive(&mut cores, is_stopped, hand_out, |core, reason| shared.note(core, reason))
        });
        let faults = shared.faults.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Answer::CoresLeft { tasks: given, faults, stopped })
    }

    /// Has the cores of all launches that have begun leave their program, those in a kernel after it.
    pub fn stop(&self) {
        // ORDERING: Relaxed: see `stops`.
        self.stops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes the cores through their program until all have left. Returns how many tasks there were, and how many
/// cores were stopped.
fn drive<C: Chip>(
    cores: &mut [Core<C>],
    is_stopped: impl Fn() -> bool,
    hand_out: impl Fn(Task),
    note: impl Fn(usize, &str),
) -> (u64, u32) {
    let (mut given, mut stopped, mut quiet) = (0, 0, 0);
    loop {
        let (mut is_changed, mut are_left) = (false, 0);
        let stop = is_stopped();
        for (index, core) in cores.iter_mut().enumerate() {
            match core.step() {
                Moved::Not => {}
                Moved::On => is_changed = true,
                Moved::Despite(reason) => {
                    is_changed = true;
                    note(index, reason);
                }
                Moved::To(task) => {
                    is_changed = true;
                    given += 1;
                    hand_out(task);
                }
            }
            stopped += u32::from(stop && core.stop());
            are_left += usize::from(core.has_left());
        }
        if are_left == cores.len() {
            return (given, stopped);
        }
        quiet = if is_changed { 0 } else { quiet + 1 };
        match quiet {
            0..YIELDS => thread::yield_now(),
            _ => thread::sleep(NAP),
        }
    }
}

impl<'a> Launch<'a> {
    /// Has a thread carry out a task: one that waits, or a new one.
    fn hand_out<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, 'a>,
        to_threads: &Sender<Task>,
        task: Task,
    ) {
        let mut idle = lock(&self.idle);
        if *idle == 0 {
            let builder = thread::Builder::new().name("core".to_owned());
            let spawned = builder.spawn_scoped(scope, || self.carry_out_tasks());
            if let Err(error) = spawned {
                return self.fail(&task, &format!("no thread for it: {error}"));
            }
        } else {
            *idle -= 1;
        }
        drop(idle);
        // The receiver is in `self`, so there is one.
        let _is_there = to_threads.send(task);
    }

    /// What a kernel thread does.
    fn carry_out_tasks(&self) {
        loop {
            let task = lock(&self.tasks).recv();
            let Ok(task) = task else { return };
            match task.kernel_address().and_then(|address| self.kernels.entry(address)) {
                Ok(entry) => {
                    hooks::as_core(task.identity(), || {
                        // SAFETY: a kernel of the test, with the argument list of its payload.
                        unsafe { entry(task.arguments()) }
                    });
                    // Before the core tells that it is done, so that what comes next finds this thread.
                    *lock(&self.idle) += 1;
                    task.end();
                }
                Err(reason) => {
                    *lock(&self.idle) += 1;
                    self.fail(&task, &reason);
                }
            }
        }
    }

    /// Ends a task that cannot be done, so that the run comes to its end, and notes why.
    fn fail(&self, task: &Task, reason: &str) {
        self.note(task.identity().index, reason);
        task.end();
    }

    /// Notes what is wrong with a core.
    fn note(&self, core: usize, reason: &str) {
        lock(&self.faults).push(format!("core {core}: {reason}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
