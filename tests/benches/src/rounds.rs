//! Times subjects in turns, so that whatever else the machine does meets all of them alike.
//!
//! ```text
//!  round 0: │ A warm-up, A A A … │ B warm-up, B B B … │ C …
//!  round 1: │ B …                │ C …                │ A …   until the budget is spent
//! ```
//!
//! A turn is a slice of time, not one operation: what is warm is what is done again and again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::record::Row;

/// How long to measure, and in which turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// All rounds together, at least; the one that is running is finished.
    pub(crate) budget: Duration,
    /// Rounds, at least, however long they take.
    pub(crate) rounds: u32,
    /// A turn of a subject; at least one operation is timed.
    pub(crate) slice: Duration,
    /// Operations at the start of a turn that are not counted.
    pub(crate) warm_up: u32,
}

/// Something that is timed: an operation again and again, and a look at what it did.
pub(crate) trait Subject {
    /// Does it once. Returns how long the part took that is measured.
    fn operate(&mut self) -> Result<Duration>;

    /// Checks what the operations of a turn did.
    fn verify(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<F: FnMut() -> Result<Duration>> Subject for F {
    fn operate(&mut self) -> Result<Duration> {
        self()
    }
}

/// A subject with the name of its row.
pub(crate) struct Named<'s> {
    pub(crate) name: String,
    /// Units of work in an operation, by which its time is divided.
    pub(crate) per: u64,
    pub(crate) subject: Box<dyn Subject + 's>,
    /// Nanoseconds of each operation.
    nanoseconds: Vec<f64>,
}

impl<'s> Named<'s> {
    /// A subject whose row is per operation.
    pub(crate) fn new(name: impl Into<String>, subject: impl Subject + 's) -> Self {
        Self::per(name, 1, subject)
    }

    /// A subject whose row is per unit of work, of which an operation has `per`.
    pub(crate) fn per(name: impl Into<String>, per: u64, subject: impl Subject + 's) -> Self {
        Self { name: name.into(), per, subject: Box::new(subject), nanoseconds: Vec::new() }
    }
}

/// Times `operation`.
pub(crate) fn timed<T>(operation: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    operation()?;
    Ok(start.elapsed())
}

/// Times all subjects whose names have `part`, and returns their rows.
///
/// # Errors
///
/// An operation fails, or did something wrong.
pub(crate) fn interleave(
    mut subjects: Vec<Named<'_>>,
    pace: &Pace,
    part: &str,
) -> Result<Vec<Row>> {
    subjects.retain(|subject| subject.name.contains(part));
    let start = Instant::now();
    let mut round = 0;
    while !subjects.is_empty() && (round < pace.rounds || start.elapsed() < pace.budget) {
        for turn in 0..subjects.len() {
            // CAST: 32 bits fit.
            let index = (round as usize + turn) % subjects.len();
            let named = &mut subjects[index];
            take_turn(named, pace).with_context(|| format!("`{}`", named.name))?;
        }
        round += 1;
    }
    Ok(subjects.iter().filter_map(|it| Row::of(&it.name, "ns", it.per, &it.nanoseconds)).collect())
}

/// One turn of one subject.
fn take_turn(named: &mut Named<'_>, pace: &Pace) -> Result<()> {
    for _ in 0..pace.warm_up {
        named.subject.operate()?;
    }
    let turn = Instant::now();
    loop {
        let took = named.subject.operate()?;
        // CAST: nanoseconds of an operation are far below 2^53.
        named.nanoseconds.push(took.as_nanos() as f64);
        if turn.elapsed() >= pace.slice {
            return named.subject.verify();
        }
    }
}
