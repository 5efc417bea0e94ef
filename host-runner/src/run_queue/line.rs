//! The line: whose turn it is, who comes next, and what the jobs hold. All under one lock.
//!
//! # Invariants
//!
//! * Tickets ascend in the line and in the queue for room.
//! * Where nobody has the turn, the line is empty or a job is at its head, which the driver is about
//!   to take.
//! * Who is first in the queue for room does not fit; where nothing is held, that queue is empty.
//!   Both hold until the queue is closed.

use std::collections::VecDeque;
use std::mem;

#[cfg(loom)]
use loom::sync::{Arc, Condvar};
#[cfg(loom)]
use loom::thread::JoinHandle;
#[cfg(not(loom))]
use std::sync::{Arc, Condvar};
#[cfg(not(loom))]
use std::thread::JoinHandle;

use super::quick_turn::ThreadNumber;
use super::{Refusal, Refused};

/// A call's place in the order of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// As a number, for those who keep it without knowing of the queue.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The ticket of a [`number`](Self::number).
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// How full the queue is, and was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueUsage {
    /// Jobs and callers in the line, and the turn in progress.
    pub(crate) len: usize,
    /// Most of that at once.
    pub(crate) len_high_water: usize,
    /// Bytes of the jobs that were accepted and whose turn has not ended.
    pub(crate) held_bytes: u64,
    /// Most of that at once.
    pub(crate) held_bytes_high_water: u64,
    /// Bytes that may be held at once.
    pub(crate) limit_bytes: u64,
}

/// What the lock of the queue guards.
pub(super) struct Line<J> {
    next_ticket: Ticket,
    turn: Option<InProgress>,
    /// Accepted and not begun.
    places: VecDeque<Place<J>>,
    /// Submissions that wait to be accepted.
    room_queue: VecDeque<Submission<J>>,
    usage: QueueUsage,
    driver: Option<JoinHandle<()>>,
    has_driver: bool,
    is_driver_parked: bool,
    /// There is something for the driver to do, and it has not been told.
    calls_driver: bool,
    is_closed: bool,
}

/// What the driver has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriverCall {
    /// Nothing.
    None,
    /// That it may have something to do; it looks.
    Note,
    /// The same; it is parked.
    Wake,
}

/// The turn in progress.
struct InProgress {
    ticket: Ticket,
    thread: ThreadNumber,
    /// What its job holds; none for a caller.
    bytes: u64,
}

struct Place<J> {
    ticket: Ticket,
    who: Waiting<J>,
}

enum Waiting<J> {
    Caller { thread: ThreadNumber, called: Arc<Condvar> },
    Job { bytes: u64, job: J },
}

/// A submission that waits for room, and its thread.
struct Submission<J> {
    ticket: Ticket,
    bytes: u64,
    job: J,
    called: Arc<Condvar>,
}

impl<J> Line<J> {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self {
            next_ticket: Ticket(0),
            turn: None,
            places: VecDeque::new(),
            room_queue: VecDeque::new(),
            usage: QueueUsage {
                len: 0,
                len_high_water: 0,
                held_bytes: 0,
                held_bytes_high_water: 0,
                limit_bytes,
            },
            driver: None,
            has_driver: false,
            is_driver_parked: false,
            calls_driver: false,
            is_closed: false,
        }
    }

    /// Begins a turn where nobody is before it.
    pub(super) fn begin_if_free(&mut self, thread: ThreadNumber) -> bool {
        let is_free = self.turn.is_none() && self.places.is_empty();
        if is_free {
            let ticket = self.draw();
            self.turn = Some(InProgress { ticket, thread, bytes: 0 });
            self.count();
        }
        is_free
    }

    /// Lines up a thread that waits on `called` until it has the turn.
    pub(super) fn enter_caller(&mut self, thread: ThreadNumber, called: Arc<Condvar>) -> Ticket {
        let ticket = self.draw();
        self.places.push_back(Place { ticket, who: Waiting::Caller { thread, called } });
        self.count();
        ticket
    }

    /// Lines up a job for which there is room.
    pub(super) fn enter_job(&mut self, bytes: u64, job: J) -> Ticket {
        let ticket = self.draw();
        self.place_job(ticket, bytes, job);
        self.advance();
        ticket
    }

    /// Keeps a submission until there is room; its thread waits on `called`.
    pub(super) fn enter_room_queue(&mut self, bytes: u64, job: J, called: Arc<Condvar>) -> Ticket {
        let ticket = self.draw();
        self.room_queue.push_back(Submission { ticket, bytes, job, called });
        ticket
    }

    /// Whether the submission has not been accepted yet.
    pub(super) fn waits_for_room(&self, ticket: Ticket) -> bool {
        self.room_queue.binary_search_by_key(&ticket, |submission| submission.ticket).is_ok()
    }

    /// How many submissions wait for room.
    #[cfg(test)]
    pub(super) fn room_queue_len(&self) -> usize {
        self.room_queue.len()
    }

    /// Gives a submission up, and says why it has no room.
    pub(super) fn leave_room_queue(&mut self, ticket: Ticket) -> Result<Ticket, Refused<J>> {
        let found = self.room_queue.binary_search_by_key(&ticket, |submission| submission.ticket);
        let Some(left) = found.ok().and_then(|at| self.room_queue.remove(at)) else {
            return Ok(ticket);
        };
        let QueueUsage { held_bytes: held, limit_bytes: limit, .. } = self.usage;
        let why = match self.is_closed {
            true => Refusal::Closed,
            false => Refusal::Full { need: left.bytes, held, limit },
        };
        // The next in the queue may be smaller.
        self.admit();
        self.advance();
        Err(Refused { why, job: left.job })
    }

    /// Why a job of `bytes` cannot be accepted now, if it cannot.
    pub(super) fn refusal(&self, bytes: u64) -> Option<Refusal> {
        let QueueUsage { held_bytes: held, limit_bytes: limit, .. } = self.usage;
        if self.is_closed {
            return Some(Refusal::Closed);
        }
        if bytes > limit {
            return Some(Refusal::TooLarge { need: bytes, limit });
        }
        // Who waits for room comes first, also where this one would fit.
        let fits = self.room_queue.is_empty() && bytes <= limit - held;
        (!fits).then_some(Refusal::Full { need: bytes, held, limit })
    }

    /// Takes the job at the head of the line for the driver, which has the turn then.
    pub(super) fn begin_job(&mut self, thread: ThreadNumber) -> Option<J> {
        self.is_driver_parked = false;
        if self.turn.is_some() {
            return None;
        }
        let at_head = self.places.pop_front_if(|place| matches!(place.who, Waiting::Job { .. }));
        let Some(Place { ticket, who: Waiting::Job { bytes, job } }) = at_head else { return None };
        self.turn = Some(InProgress { ticket, thread, bytes });
        Some(job)
    }

    /// Ends the turn in progress and calls the next.
    pub(super) fn end_turn(&mut self) {
        if let Some(ended) = self.turn.take() {
            self.usage.held_bytes -= ended.bytes;
        }
        // Before the next is called: who waits for room may be the next.
        self.admit();
        self.advance();
    }

    /// Takes a job that has not begun from the line.
    pub(super) fn remove_job(&mut self, ticket: Ticket) -> Option<J> {
        let at = self.places.binary_search_by_key(&ticket, |place| place.ticket).ok()?;
        if !matches!(self.places[at].who, Waiting::Job { .. }) {
            return None;
        }
        let Waiting::Job { bytes, job } = self.places.remove(at)?.who else { return None };
        self.usage.held_bytes -= bytes;
        self.admit();
        self.advance();
        Some(job)
    }

    /// Refuses everything from now on; the jobs that have not begun, to be dropped without the lock.
    pub(super) fn close(&mut self) -> Vec<J> {
        self.is_closed = true;
        self.calls_driver = true;
        let mut jobs = Vec::new();
        for place in mem::take(&mut self.places) {
            match place.who {
                Waiting::Caller { called, .. } => called.notify_one(),
                Waiting::Job { bytes, job } => {
                    self.usage.held_bytes -= bytes;
                    jobs.push(job);
                }
            }
        }
        for submission in &self.room_queue {
            submission.called.notify_one();
        }
        jobs
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether nobody has the turn and nobody waits for one or for room, and somebody may yet.
    pub(super) fn is_idle(&self) -> bool {
        let nobody = self.turn.is_none() && self.places.is_empty() && self.room_queue.is_empty();
        nobody && !self.is_closed
    }

    pub(super) fn has_turn_in_progress(&self) -> bool {
        self.turn.is_some()
    }

    pub(super) fn is_turn_of(&self, ticket: Ticket) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.ticket == ticket)
    }

    /// Whether the turn in progress is a thread's own.
    pub(super) fn is_turn_of_thread(&self, thread: ThreadNumber) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.thread == thread)
    }

    pub(super) fn has_driver(&self) -> bool {
        self.has_driver
    }

    pub(super) fn set_driver(&mut self, driver: JoinHandle<()>) {
        self.has_driver = true;
        self.driver = Some(driver);
    }

    pub(super) fn take_driver(&mut self) -> Option<JoinHandle<()>> {
        self.driver.take()
    }

    /// The driver waits for a job, until the next time that it asks for one.
    pub(super) fn driver_parks(&mut self) {
        self.is_driver_parked = true;
    }

    /// What the driver has to be told now, once.
    pub(super) fn take_driver_call(&mut self) -> DriverCall {
        if !mem::take(&mut self.calls_driver) {
            DriverCall::None
        } else if mem::take(&mut self.is_driver_parked) {
            DriverCall::Wake
        } else {
            DriverCall::Note
        }
    }

    pub(super) fn usage(&self) -> QueueUsage {
        QueueUsage { len: self.len(), ..self.usage }
    }

    fn len(&self) -> usize {
        self.places.len() + usize::from(self.turn.is_some())
    }

    fn draw(&mut self) -> Ticket {
        let ticket = self.next_ticket;
        // A number a nanosecond lasts for 500 years.
        self.next_ticket = Ticket(ticket.0 + 1);
        ticket
    }

    /// Raises the high-water marks.
    fn count(&mut self) {
        let len = self.len();
        let usage = &mut self.usage;
        usage.len_high_water = usage.len_high_water.max(len);
        usage.held_bytes_high_water = usage.held_bytes_high_water.max(usage.held_bytes);
    }

    fn place_job(&mut self, ticket: Ticket, bytes: u64, job: J) {
        // At the end, but for one that had to wait for room, which callers have lined up behind.
        let at = self.places.partition_point(|place| place.ticket < ticket);
        self.places.insert(at, Place { ticket, who: Waiting::Job { bytes, job } });
        self.usage.held_bytes += bytes;
        self.count();
    }

    /// Accepts submissions that waited for room, as far as there is room for the first.
    fn admit(&mut self) {
        // Once closed, nothing new begins; who waits for room is about to leave.
        while !self.is_closed {
            let room = self.usage.limit_bytes - self.usage.held_bytes;
            let admitted = self.room_queue.pop_front_if(|first| first.bytes <= room);
            let Some(Submission { ticket, bytes, job, called }) = admitted else { return };
            self.place_job(ticket, bytes, job);
            called.notify_one();
        }
    }

    /// Calls who is at the head of the line, if nobody has the turn.
    fn advance(&mut self) {
        if self.turn.is_some() {
            return;
        }
        let caller = self.places.pop_front_if(|place| matches!(place.who, Waiting::Caller { .. }));
        match caller {
            Some(Place { ticket, who: Waiting::Caller { thread, called } }) => {
                self.turn = Some(InProgress { ticket, thread, bytes: 0 });
                called.notify_one();
            }
            _ => self.calls_driver |= !self.places.is_empty(),
        }
    }
}
