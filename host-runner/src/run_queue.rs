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
//! nobody is before it, that costs one lock at the begin and one at the end, and no system call. A
//! job that was submitted is carried out by the driver, a thread of the queue that is started by the
//! first submission.
//!
//! Each call draws a ticket, and the line is served by ticket: neither kind can starve the other.
//! Jobs hold bytes from their acceptance to the end of their turn. Whoever waits for room keeps the
//! place of its ticket, and until it has room no later job is accepted: so when everything before it
//! is done, no bytes are held, and there is room for certain.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
use std::thread;

mod driver;
mod line;
#[cfg(all(test, loom))]
mod models;
mod refusal;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use line::Line;
pub(crate) use line::{QueueUsage, Ticket};
pub(crate) use refusal::{Refusal, Refused, TurnRefused};

/// What the driver does when its turn comes. The turn ends, and its bytes are given back, where the
/// job drops it: before it says that it is done, so that who learns of that finds the room.
pub(crate) type Job = Box<dyn FnOnce(Turn<'_>) + Send>;

/// Who uses the device next. Dropping it closes it and waits for the turn in progress, except on its
/// own driver, which then ends by itself.
pub(crate) struct RunQueue {
    shared: Arc<Shared>,
}

struct Shared {
    line: Mutex<Line>,
    /// The driver waits here for a job at the head of the line.
    driver: Condvar,
    /// Those who close wait here for the turn in progress.
    turn_ended: Condvar,
}

/// The device is this thread's until this is dropped.
#[must_use = "the turn ends where this is dropped"]
pub(crate) struct Turn<'a> {
    shared: &'a Shared,
    /// The queue knows whose turn it is by the thread, so it stays there.
    stays_here: PhantomData<*const ()>,
}

impl RunQueue {
    /// A queue whose jobs hold at most `limit_bytes` together.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let shared = Shared {
            line: Mutex::new(Line::new(limit_bytes)),
            driver: Condvar::new(),
            turn_ended: Condvar::new(),
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
        let thread = thread::current().id();
        let mut line = self.shared.lock();
        if line.is_inside(thread) {
            return Err(TurnRefused::Reentered);
        }
        if line.is_closed() {
            return Err(TurnRefused::Closed);
        }
        if line.begin_if_free(thread) {
            return Ok(Turn::of(&self.shared));
        }
        let called = Arc::new(Condvar::new());
        let ticket = line.enter_caller(thread, Arc::clone(&called));
        loop {
            line = called.wait(line).unwrap_or_else(PoisonError::into_inner);
            if line.is_turn_of(ticket) {
                return Ok(Turn::of(&self.shared));
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
    pub(crate) fn submit(&self, bytes: u64, job: Job) -> Result<Ticket, Refused> {
        let mut line = self.shared.lock();
        if let Some(why) = line.refusal(bytes) {
            return Err(Refused { why, job });
        }
        self.accept(&mut line, bytes, job)
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
        job: Job,
        limit: Duration,
    ) -> Result<Ticket, Refused> {
        let deadline = Instant::now().checked_add(limit);
        let mut line = self.shared.lock();
        match line.refusal(bytes) {
            None => return self.accept(&mut line, bytes, job),
            Some(Refusal::Full { .. }) if line.is_inside(thread::current().id()) => {
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
                return line.leave_room_queue(ticket, &self.shared.driver);
            }
            let woken = called.wait_timeout(line, left);
            line = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a job from the line and gives its bytes back at once; it is dropped uncalled, on this
    /// thread. False where it is not there any more, because it has begun or is done.
    pub(crate) fn forget(&self, ticket: Ticket) -> bool {
        let mut line = self.shared.lock();
        let job = line.remove_job(ticket, &self.shared.driver);
        // The job may own anything: it goes without the lock.
        drop(line);
        job.is_some()
    }

    /// Refuses new calls from now on, drops the jobs that have not begun, has waiting callers return
    /// with a refusal, and waits for the turn in progress, unless that is this thread's.
    pub(crate) fn close(&self) {
        let mut line = self.shared.lock();
        let jobs = line.close();
        self.shared.driver.notify_one();
        drop(line);
        drop(jobs);
        let thread = thread::current().id();
        let mut line = self.shared.lock();
        while line.has_turn_in_progress() && !line.is_turn_of_thread(thread) {
            line = self.shared.turn_ended.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the driver has ended, which includes telling of the last job's end. To be called
    /// after [`close`](Self::close); the driver itself does not wait.
    pub(crate) fn join_driver(&self) {
        let mut line = self.shared.lock();
        if line.is_driver(thread::current().id()) {
            return;
        }
        let driver = line.take_driver();
        drop(line);
        if let Some(driver) = driver {
            // It catches the panics of jobs, and has none of its own.
            let _ = driver.join();
        }
    }

    /// Whether this thread has the turn, or is the driver: waiting for another turn is for ever.
    pub(crate) fn is_inside(&self) -> bool {
        self.shared.lock().is_inside(thread::current().id())
    }

    /// Whether this thread is the queue's driver, which carries out the jobs.
    #[cfg(any(test, loom))]
    pub(crate) fn is_driver_thread(&self) -> bool {
        self.shared.lock().is_driver(thread::current().id())
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
        self.shared.lock().usage()
    }

    /// Accepts what there is room for.
    fn accept(&self, line: &mut Line, bytes: u64, job: Job) -> Result<Ticket, Refused> {
        if let Err(error) = self.start_driver(line) {
            return Err(Refused { why: Refusal::NoDriver(error), job });
        }
        Ok(line.enter_job(bytes, job, &self.shared.driver))
    }

    /// Starts the driver at the first job.
    fn start_driver(&self, line: &mut Line) -> io::Result<()> {
        if !line.has_driver() {
            line.set_driver(driver::start(Arc::clone(&self.shared))?);
        }
        Ok(())
    }
}

impl Drop for RunQueue {
    fn drop(&mut self) {
        self.close();
        self.join_driver();
    }
}

impl fmt::Debug for RunQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunQueue").field(&self.usage()).finish()
    }
}

impl<'a> Turn<'a> {
    /// The line has said that it is this thread's turn.
    fn of(shared: &'a Shared) -> Self {
        Self { shared, stays_here: PhantomData }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.shared.lock();
        line.end_turn(&self.shared.driver);
        if line.is_closed() {
            self.shared.turn_ended.notify_all();
        }
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Line> {
        // Nothing that can panic runs under the lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
