//! Who uses the device next: strictly in the order of the calls.
//!
//! ```text
//!  turn ─────────────────▶┐                         ┌▶ the caller's own thread, until its guard goes
//!  submit ────── room? ──▶├─▶ line, by ticket ─ one ┤
//!  submit_within ─ waits ▶┘   of each call          └▶ the driver: carries out the job
//!                  for room
//! ```
//!
//! A synchronous run works on borrowed arguments, so it does its work on the caller's thread; where
//! nobody is before it, that costs one exchange of a word at the begin and one at the end. A
//! job that was submitted is carried out by the driver, a thread of the queue that is started by the
//! first submission. It looks for the next job for a short while before it parks, so that a
//! submission has nobody to wake while there is work: then it costs one lock and no system call.
//!
//! Each call draws a ticket, and the line is served by ticket: neither kind can starve the other.
//! Jobs hold bytes from their acceptance to the end of their turn. Whoever waits for room keeps the
//! place of its ticket, and until it has room no later job is accepted: so when everything before it
//! is done, no bytes are held, and there is room for certain.

use std::fmt;
use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

mod driver;
mod line;
#[cfg(all(test, loom))]
mod models;
mod quick_turn;
mod refusal;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod turn;

use line::{DriverCall, Line};
pub(crate) use line::{QueueUsage, Ticket};
use quick_turn::{QuickTurn, ThreadNumber};
pub(crate) use refusal::{Refusal, Refused, TurnRefused};
use turn::EndTurn;
pub(crate) use turn::Turn;

/// What the driver does when its turn comes.
pub(crate) trait Job: Send + 'static {
    /// Does it. The turn ends, and its bytes are given back, where it is dropped: before the job says
    /// that it is done, so that who learns of that finds the room.
    fn carry_out(self, turn: Turn<'_>);
}

/// Who uses the device next. Dropping it closes it and waits for the turn in progress, except on its
/// own driver, which then ends by itself.
pub(crate) struct RunQueue<J: Job> {
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    /// The turn of a caller who is alone.
    quick: QuickTurn,
    /// Whether there has been such a turn.
    has_been_quick: AtomicBool,
    /// [`ThreadNumber`] of the driver, written by itself before its first job.
    driver_thread: AtomicU64,
    line: Mutex<Line<J>>,
    /// The driver waits here for a job at the head of the line.
    driver: Condvar,
    /// Those who close wait here for the turn in progress.
    turn_ended: Condvar,
    /// Whether there may be something for the driver to do. Written under the lock, read without it
    /// by the driver that looks before it parks.
    is_driver_called: AtomicBool,
}

impl<J: Job> RunQueue<J> {
    /// A queue whose jobs hold at most `limit_bytes` together.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let shared = Shared {
            quick: QuickTurn::new(),
            has_been_quick: AtomicBool::new(false),
            driver_thread: AtomicU64::new(0),
            line: Mutex::new(Line::new(limit_bytes)),
            driver: Condvar::new(),
            turn_ended: Condvar::new(),
            is_driver_called: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until everything that was accepted before is done, without limit.
    ///
    /// # Errors
    ///
    /// [`TurnRefused::Closed`], also where the queue is closed meanwhile; [`TurnRefused::Reentered`]
    /// where this thread has the turn already, or is the driver.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, TurnRefused> {
        let thread = ThreadNumber::own();
        if self.shared.begin_quickly(thread) {
            return Ok(Turn::of(&*self.shared, thread));
        }
        let mut line = self.shared.lock();
        if self.shared.is_inside(&line, thread) {
            return Err(TurnRefused::Reentered);
        }
        if line.is_closed() {
            return Err(TurnRefused::Closed);
        }
        if line.begin_if_free(thread) {
            return Ok(Turn::of(&*self.shared, thread));
        }
        let called = Arc::new(Condvar::new());
        let ticket = line.enter_caller(thread, Arc::clone(&called));
        loop {
            line = self.shared.wait(&called, line);
            if line.is_turn_of(ticket) {
                return Ok(Turn::of(&*self.shared, thread));
            }
            // Closing took this call from the line.
            if line.is_closed() {
                return Err(TurnRefused::Closed);
            }
        }
    }

    /// Accepts a job that holds `bytes` until its turn ends. A job of no bytes is always accepted:
    /// count something for each.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the job.
    pub(crate) fn submit(&self, bytes: u64, job: J) -> Result<Ticket, Refused<J>> {
        let line = self.shared.lock();
        if let Some(why) = line.refusal(bytes) {
            return Err(Refused { why, job });
        }
        self.accept(line, bytes, job)
    }

    /// As [`submit`](Self::submit), and waits at most `limit` for room, first come first served.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the job; [`Refusal::Reentered`] where there is no room and this thread has
    /// the turn, so that waiting would not make any.
    pub(crate) fn submit_within(
        &self,
        bytes: u64,
        job: J,
        limit: Duration,
    ) -> Result<Ticket, Refused<J>> {
        let deadline = Instant::now().checked_add(limit);
        let mut line = self.shared.lock();
        match line.refusal(bytes) {
            None => return self.accept(line, bytes, job),
            Some(Refusal::Full { .. }) if self.shared.is_inside(&line, ThreadNumber::own()) => {
                return Err(Refused { why: Refusal::Reentered, job });
            }
            Some(Refusal::Full { .. }) => {}
            Some(why) => return Err(Refused { why, job }),
        }
        let called = Arc::new(Condvar::new());
        let ticket = line.enter_room_queue(bytes, job, Arc::clone(&called));
        loop {
            // A limit beyond what the clock can say is none.
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if !line.waits_for_room(ticket) {
                return Ok(ticket);
            }
            if line.is_closed() || left.is_zero() {
                let left = line.leave_room_queue(ticket);
                self.shared.release(line);
                return left;
            }
            let woken = called.wait_timeout(line, left);
            line = woken.unwrap_or_else(PoisonError::into_inner).0;
            self.shared.take_over(&mut line);
        }
    }

    /// Takes a job from the line and gives its bytes back at once; it is dropped uncalled, on this
    /// thread. False where it is not there any more, because it has begun or is done.
    pub(crate) fn forget(&self, ticket: Ticket) -> bool {
        let mut line = self.shared.lock();
        let job = line.remove_job(ticket);
        // The job may own anything: it goes without the lock.
        self.shared.release(line);
        job.is_some()
    }

    /// Refuses new calls from now on, drops the jobs that have not begun, has waiting callers return
    /// with a refusal, and waits for the turn in progress, unless that is this thread's.
    pub(crate) fn close(&self) {
        let mut line = self.shared.lock();
        let jobs = line.close();
        self.shared.release(line);
        drop(jobs);
        let thread = ThreadNumber::own();
        let mut line = self.shared.lock();
        while line.has_turn_in_progress() && !line.is_turn_of_thread(thread) {
            line = self.shared.wait(&self.shared.turn_ended, line);
        }
    }

    /// Waits until the driver has ended, which includes telling of the last job's end. To be called
    /// after [`close`](Self::close); the driver itself does not wait.
    pub(crate) fn join_driver(&self) {
        if self.shared.is_driver(ThreadNumber::own()) {
            return;
        }
        let driver = self.shared.lock().take_driver();
        if let Some(driver) = driver {
            // It catches the panics of jobs, and has none of its own.
            let _ = driver.join();
        }
    }

    /// Whether this thread has the turn, or is the driver: waiting for another turn is for ever.
    pub(crate) fn is_inside(&self) -> bool {
        self.shared.is_inside(&self.shared.lock(), ThreadNumber::own())
    }

    /// Whether this thread is the queue's driver, which carries out the jobs.
    #[cfg(any(test, loom))]
    pub(crate) fn is_driver_thread(&self) -> bool {
        self.shared.is_driver(ThreadNumber::own())
    }

    /// Bytes of the jobs that were accepted and whose turn has not ended.
    #[cfg(any(test, loom))]
    pub(crate) fn held_bytes(&self) -> u64 {
        self.usage().held_bytes
    }

    /// Jobs and callers in the line, and the turn in progress.
    #[cfg(any(test, loom))]
    pub(crate) fn len(&self) -> usize {
        self.usage().len
    }

    /// How full the queue is, and was.
    pub(crate) fn usage(&self) -> QueueUsage {
        let mut usage = self.shared.lock().usage();
        // ORDERING: Relaxed: a number for people, and for the thread that had the turn.
        let at_least = usize::from(self.shared.has_been_quick.load(Ordering::Relaxed));
        usage.len_high_water = usage.len_high_water.max(at_least);
        usage
    }

    /// Accepts what there is room for.
    fn accept(
        &self,
        mut line: MutexGuard<'_, Line<J>>,
        bytes: u64,
        job: J,
    ) -> Result<Ticket, Refused<J>> {
        if let Err(error) = self.start_driver(&mut line) {
            return Err(Refused { why: Refusal::NoDriver(error), job });
        }
        let ticket = line.enter_job(bytes, job);
        self.shared.release(line);
        Ok(ticket)
    }

    /// Starts the driver at the first job.
    fn start_driver(&self, line: &mut Line<J>) -> io::Result<()> {
        if !line.has_driver() {
            line.set_driver(driver::start(Arc::clone(&self.shared))?);
        }
        Ok(())
    }
}

impl<J: Job> Drop for RunQueue<J> {
    fn drop(&mut self) {
        self.close();
        self.join_driver();
    }
}

impl<J: Job> fmt::Debug for RunQueue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunQueue").field(&self.usage()).finish()
    }
}

impl<J: Job> EndTurn for Shared<J> {
    fn end_turn(&self, thread: ThreadNumber) {
        if self.quick.end(thread) {
            return;
        }
        let mut line = self.lock();
        line.end_turn();
        if line.is_closed() {
            self.turn_ended.notify_all();
        }
        self.release(line);
    }
}

impl<J: Job> Shared<J> {
    /// The line, which knows of the turn in progress.
    fn lock(&self) -> MutexGuard<'_, Line<J>> {
        // Nothing that can panic runs under the lock.
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_over(&mut line);
        line
    }

    /// Waits, and finds the line as [`lock`](Self::lock) does.
    fn wait<'a>(
        &'a self,
        called: &Condvar,
        line: MutexGuard<'a, Line<J>>,
    ) -> MutexGuard<'a, Line<J>> {
        let mut line = called.wait(line).unwrap_or_else(PoisonError::into_inner);
        self.take_over(&mut line);
        line
    }

    /// Has the line know of the turn in progress.
    fn take_over(&self, line: &mut Line<J>) {
        if let Some(thread) = self.quick.take_over() {
            line.begin_if_free(thread);
        }
    }

    /// Begins a turn without the line, where nobody is in it.
    fn begin_quickly(&self, thread: ThreadNumber) -> bool {
        let has_begun = !self.is_driver(thread) && self.quick.begin(thread);
        // ORDERING: Relaxed (both): see `usage`.
        if has_begun && !self.has_been_quick.load(Ordering::Relaxed) {
            self.has_been_quick.store(true, Ordering::Relaxed);
        }
        has_begun
    }

    /// Whether a thread that waits for a turn would wait for itself.
    fn is_inside(&self, line: &Line<J>, thread: ThreadNumber) -> bool {
        self.is_driver(thread) || line.is_turn_of_thread(thread)
    }

    fn is_driver(&self, thread: ThreadNumber) -> bool {
        // ORDERING: Relaxed: only the driver itself finds its number, which it has written.
        self.driver_thread.load(Ordering::Relaxed) == thread.value()
    }

    /// Gives the lock back, lets callers do without the line where nobody is in it, and calls the
    /// driver, if the line wants that: so it finds the lock free. A driver that has not parked sees
    /// it without being woken.
    fn release(&self, mut line: MutexGuard<'_, Line<J>>) {
        let call = line.take_driver_call();
        if call != DriverCall::None {
            // ORDERING: Relaxed: the driver that sees it takes the lock, which orders all else.
            self.is_driver_called.store(true, Ordering::Relaxed);
        }
        // The line knows of every turn here, as it was locked.
        if line.is_idle() {
            self.quick.open();
        }
        drop(line);
        if call == DriverCall::Wake {
            self.driver.notify_one();
        }
    }
}
