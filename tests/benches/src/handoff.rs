//! The floors of a hand-off: a round trip to another thread, that spins or that sleeps.
//!
//! The other thread is there during a turn only, so that it takes no processor from other subjects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process;
use crate::rounds::Subject;

/// The word that ends the other thread.
const END: u64 = u64::MAX;

/// How the two threads wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// They look all the time.
    Spinning,
    /// They sleep, and each wakes the other.
    Sleeping,
}

/// A word on a cache line of its own; two lines, as processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Word(AtomicU64);

/// What both threads know.
#[derive(Debug, Default)]
struct Table {
    ball: Word,
    answer: Word,
}

/// A round trip to another thread and back.
#[derive(Debug)]
pub(crate) struct HandOff {
    waiting: Waiting,
    table: Arc<Table>,
    turn: u64,
    other: Option<JoinHandle<()>>,
}

impl HandOff {
    /// Without another thread so far.
    pub(crate) fn new(waiting: Waiting) -> Self {
        Self { waiting, table: Arc::default(), turn: 0, other: None }
    }

    /// Starts the other thread.
    fn start(&mut self) {
        let (table, waiting, caller) = (Arc::clone(&self.table), self.waiting, thread::current());
        let (first, processor) = (self.turn + 1, process::current_processor());
        self.other = Some(thread::spawn(move || {
            // Two threads on one processor would measure the system's clock.
            process::avoid(processor);
            answer(&table, waiting, first, &caller);
        }));
    }
}

impl Subject for HandOff {
    fn operate(&mut self) -> Result<Duration> {
        if self.other.is_none() {
            self.start();
        }
        self.turn += 1;
        let start = Instant::now();
        // ORDERING: pairs with the Acquire in `answer`, as a real hand-off's.
        self.table.ball.0.store(self.turn, Ordering::Release);
        if let (Waiting::Sleeping, Some(other)) = (self.waiting, &self.other) {
            other.thread().unpark();
        }
        // ORDERING: pairs with the Release in `answer`.
        while self.table.answer.0.load(Ordering::Acquire) != self.turn {
            rest(self.waiting);
        }
        Ok(start.elapsed())
    }

    fn verify(&mut self) -> Result<()> {
        let Some(other) = self.other.take() else { return Ok(()) };
        // ORDERING: a mark without data behind it; the join is what synchronises.
        self.table.ball.0.store(END, Ordering::Release);
        other.thread().unpark();
        ensure!(other.join().is_ok(), "the other thread of a hand-off panicked");
        Ok(())
    }
}

/// The other thread's part: sends back what comes, from turn `next` on.
fn answer(table: &Table, waiting: Waiting, mut next: u64, caller: &Thread) {
    loop {
        // ORDERING: pairs with the Release in `operate`.
        match table.ball.0.load(Ordering::Acquire) {
            END => return,
            ball if ball == next => {
                // ORDERING: pairs with the Acquire in `operate`.
                table.answer.0.store(ball, Ordering::Release);
                if waiting == Waiting::Sleeping {
                    caller.unpark();
                }
                next += 1;
            }
            _ => rest(waiting),
        }
    }
}

fn rest(waiting: Waiting) {
    match waiting {
        Waiting::Spinning => core::hint::spin_loop(),
        Waiting::Sleeping => thread::park(),
    }
}
