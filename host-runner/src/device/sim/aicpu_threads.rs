//! The AICPU threads of a device: resident, asleep between orders.
//!
//! An order (a run, a load, or unloading) has members, which carry it out as soon as it begins, and
//! others may be called to help while it lasts. Each thread has a mailbox that only it looks
//! at, so that nobody is woken who is not needed. Whoever waits looks for a while before it sleeps,
//! but not where the other side needs the processor it is on. The caller waits with a deadline; a thread that
//! does not come back stays where it is, and the device around it is given up.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::attendance::Attendance;
use super::parking::{self, Parking, RESIDENT_SPIN, processor};
use crate::foreign_code::thread_start;

/// How long the caller looks before it sleeps, where nobody says otherwise.
const CALLER_SPIN: Duration = Duration::from_micros(50);
/// How long a thread looks that was only called to help.
const HELPER_SPIN: Duration = Duration::from_micros(20);

/// Stack of a thread: for code of an orchestration, and for a kernel above it.
const STACK_BYTES: usize = 8 << 20;

/// What a thread is to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its `index`-th thread.
    Member {
        /// From 0.
        index: usize,
    },
    /// One that was called later.
    Helper {
        /// Its index among all threads.
        index: usize,
    },
}

/// What every participating thread does with an order.
///
/// Returns 0 or a negative status.
pub type Program<O> = Arc<dyn Fn(O, Part) -> i32 + Send + Sync>;

/// What every thread does first.
pub type Prepare = Arc<dyn Fn() + Send + Sync>;

/// What a mailbox holds beside the number of an order: which duty.
const MEMBER: u64 = 1;
const HELPER: u64 = 2;
const STOP: u64 = 3;

/// Where one thread is told what to do; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Mailbox {
    /// The number of an order and a duty in it.
    duty: AtomicU64,
    parking: Parking,
}

impl Mailbox {
    fn put(&self, order: u32, duty: u64) {
        // ORDERING: Release: a member sees the order. SeqCst, and a swap: `unpark` asks for it, and so it is one
        // locked operation where a store and a fence were two.
        self.duty.swap(u64::from(order) << 2 | duty, Ordering::SeqCst);
        self.parking.unpark();
    }

    fn look(&self) -> u64 {
        // ORDERING: Acquire: see `put`.
        self.duty.load(Ordering::Acquire)
    }
}

/// What the threads report to, and where the caller waits.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Outcome {
    attendance: Attendance,
    caller: Parking,
    /// The processors on which the caller and the first thread were when they last had to wait for each other;
    /// guesses to go by.
    caller_processor: AtomicUsize,
    first_processor: AtomicUsize,
    /// First status that was not 0.
    status: AtomicI32,
    panicked: AtomicBool,
}

/// What caller and threads share. Beside the outcome and the mailboxes, nothing is written for an order that is
/// like the last one, so that the threads find it in their caches.
struct Shared<O> {
    outcome: Outcome,
    /// `None` before the first one.
    order: UnsafeCell<Option<O>>,
    mailboxes: Box<[Mailbox]>,
}

// SAFETY: `order` is written by the caller when nobody is inside, and read by those who are;
// `outcome.attendance` and the mailboxes order the two.
unsafe impl<O: Send> Sync for Shared<O> {}

/// The threads of one device.
pub struct AicpuThreads<O> {
    shared: Arc<Shared<O>>,
    threads: Vec<JoinHandle<()>>,
}

/// Threads that did not come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Number of threads that are still carrying it out.
    pub threads: usize,
}

/// How the threads ended an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// First status that was not 0, else 0.
    pub status: i32,
    /// Whether the program panicked on a thread: a defect of the executor.
    pub panicked: bool,
}

impl<O: Copy + PartialEq + Send + 'static> AicpuThreads<O> {
    /// Starts `count` threads, which are prepared when this returns, and wait for the first order. The
    /// system shows them as `name`, with a number.
    ///
    /// # Errors
    ///
    /// The system's error where it refuses a thread.
    pub fn start(
        name: &str,
        count: usize,
        prepare: &Prepare,
        program: &Program<O>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            outcome: Outcome::default(),
            order: UnsafeCell::new(None),
            mailboxes: (0..count).map(|_| Mailbox::default()).collect(),
        });
        let mut threads = Self { shared, threads: Vec::with_capacity(count) };
        let (prepared, all_prepared) = mpsc::channel();
        for index in 0..count {
            let shared = Arc::clone(&threads.shared);
            let (prepare, program) = (Arc::clone(prepare), Arc::clone(program));
            let prepared = prepared.clone();
            let body = move || {
                thread_start::started();
                prepare();
                // `start` waits for it, or has failed.
                let _told = prepared.send(());
                drop(prepared);
                serve(index, &shared, &program);
            };
            let name = format!("{name}-{index}");
            let builder = std::thread::Builder::new().name(name).stack_size(STACK_BYTES);
            // On failure, dropping `threads` stops those that are there.
            threads.threads.push(builder.spawn(body)?);
        }
        drop(prepared);
        // Ends when each thread has sent, or died.
        all_prepared.iter().take(count).for_each(drop);
        Ok(threads)
    }

    /// Has the first `members` threads carry out an order. The last one must have ended.
    pub fn begin(&self, order: O, members: usize) {
        let Shared { outcome, mailboxes, .. } = &*self.shared;
        debug_assert_eq!(outcome.attendance.inside(), 0);
        // SAFETY: nobody is inside an order, and who is called for the last one is turned away.
        let place = unsafe { &mut *self.shared.order.get() };
        if *place != Some(order) {
            *place = Some(order);
        }
        // ORDERING: Relaxed (all): what `begin` and `put` release comes later.
        outcome.status.store(0, Ordering::Relaxed);
        outcome.panicked.store(false, Ordering::Relaxed);
        let members = members.min(mailboxes.len());
        // CAST: a handful of threads.
        let number = outcome.attendance.begin(members as u32);
        for mailbox in mailboxes.iter().take(members) {
            mailbox.put(number, MEMBER);
        }
    }

    /// Calls one more thread to help with the order that is under way, of those with an index of
    /// `among`; false if all of them are called already.
    pub fn call(&self, among: std::ops::Range<usize>) -> bool {
        let number = self.shared.outcome.attendance.order();
        let is_free = |mailbox: &&Mailbox| mailbox.look() >> 2 != u64::from(number);
        let free = self.shared.mailboxes.get(among).unwrap_or_default().iter().find(is_free);
        free.map(|mailbox| mailbox.put(number, HELPER)).is_some()
    }

    /// Waits until all threads of the order have come back, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Stuck`] where they have not; they may still come back later.
    pub fn wait(&self, deadline: Instant) -> Result<Ended, Stuck> {
        let seen = self.glance().or_else(|_| self.look_for(CALLER_SPIN));
        seen.or_else(|_| self.sleep_until(deadline))
    }

    /// The same, for as long as the briefest orders take, and without a thought of who needs the processor.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn glance(&self) -> Result<Ended, Stuck> {
        let attendance = &self.shared.outcome.attendance;
        parking::glance(|| attendance.inside() == 0);
        self.ended()
    }

    /// The same, for `time` that is short: looks all the time. Comes back at once where the first thread needs
    /// the processor for itself.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn look_for(&self, time: Duration) -> Result<Ended, Stuck> {
        let Outcome { attendance, caller_processor, first_processor, .. } = &self.shared.outcome;
        let here = processor();
        // ORDERING: Relaxed (both): guesses to go by.
        caller_processor.store(here, Ordering::Relaxed);
        if first_processor.load(Ordering::Relaxed) != here {
            parking::spin(|| attendance.inside() == 0, time);
        }
        self.ended()
    }

    /// The same, without a look that lasts.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn sleep_until(&self, deadline: Instant) -> Result<Ended, Stuck> {
        let Outcome { attendance, caller, .. } = &self.shared.outcome;
        while attendance.inside() != 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            caller.park(|| attendance.inside() == 0, Some(left));
        }
        self.ended()
    }

    fn ended(&self) -> Result<Ended, Stuck> {
        let Outcome { attendance, status, panicked, .. } = &self.shared.outcome;
        match attendance.inside() {
            // ORDERING: Relaxed (both): `inside` has acquired what the threads wrote.
            0 => Ok(Ended {
                status: status.load(Ordering::Relaxed),
                panicked: panicked.load(Ordering::Relaxed),
            }),
            // CAST: a handful of threads.
            threads => Err(Stuck { threads: threads as usize }),
        }
    }
}

impl<O> Drop for AicpuThreads<O> {
    fn drop(&mut self) {
        for mailbox in &self.shared.mailboxes {
            mailbox.put(0, STOP);
        }
        for thread in self.threads.drain(..) {
            // Panics inside an order are caught there, so there is no other to report.
            let _never_panics = thread.join();
        }
    }
}

/// What a thread does from start to end.
fn serve<O: Copy>(index: usize, shared: &Shared<O>, program: &Program<O>) {
    let Shared { outcome, mailboxes, .. } = shared;
    let mut seen = 0;
    let mut patience = Duration::ZERO;
    loop {
        let has_come = || mailboxes[index].look() != seen;
        if patience.is_zero() || !parking::glance(has_come) {
            let here = processor();
            // ORDERING: Relaxed (both): guesses to go by.
            if patience == RESIDENT_SPIN {
                outcome.first_processor.store(here, Ordering::Relaxed);
            }
            if outcome.caller_processor.load(Ordering::Relaxed) == here {
                patience = Duration::ZERO;
            }
            if !parking::spin(has_come, patience) {
                mailboxes[index].parking.park(has_come, None);
            }
        }
        let mail = mailboxes[index].look();
        if mail == seen {
            patience = Duration::ZERO;
            continue;
        }
        seen = mail;
        // CAST: the number is above the duty.
        let (number, duty) = ((mail >> 2) as u32, mail & 3);
        let part = match duty {
            MEMBER => Part::Member { index },
            HELPER if outcome.attendance.join(number) => Part::Helper { index },
            HELPER => continue,
            _ => return,
        };
        // SAFETY: inside the order: nobody writes it.
        let order = unsafe { *shared.order.get() };
        let result =
            catch_unwind(AssertUnwindSafe(|| order.map_or(0, |order| program(order, part))));
        // ORDERING: Relaxed (all): `leave` releases them.
        match result {
            Ok(0) => {}
            Ok(status) => {
                let first = outcome.status.compare_exchange(
                    0,
                    status,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                // An earlier one stays.
                let _kept = first;
            }
            Err(_) => outcome.panicked.store(true, Ordering::Relaxed),
        }
        patience = HELPER_SPIN;
        if part == (Part::Member { index: 0 }) {
            patience = RESIDENT_SPIN;
        }
        if outcome.attendance.leave() {
            outcome.caller.unpark();
        }
    }
}

#[cfg(test)]
mod tests;
