//! Times methods in turns, so that whatever else the machine does meets all of them alike.
//!
//! ```text
//!  round 0: │ A warm-up, A A A … │ B warm-up, B B B … │ C …
//!  round 1: │ B …                │ C …                │ A …   until the budget is spent
//! ```
//!
//! A turn is a slice of time, not one operation: a warm method is one that runs again and again,
//! and would find the caches cold if `dlopen` ran in between each time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::method::{AnyMethod, Method};

/// How long to measure, and in which turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// All rounds together, at least; the one that is running is finished.
    pub(crate) budget: Duration,
    /// A turn of a method; at least one operation is timed.
    pub(crate) slice: Duration,
    /// Operations at the start of a turn that are not counted.
    pub(crate) warm_up: u32,
}

/// The timed operations of one method.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) method: &'static str,
    pub(crate) image: &'static str,
    pub(crate) nanoseconds: Vec<u64>,
}

impl Series {
    /// No operations yet.
    pub(crate) fn new(method: &dyn Method) -> Self {
        Self { method: method.name(), image: method.image(), nanoseconds: Vec::new() }
    }
}

/// Times all methods.
///
/// # Errors
///
/// An operation fails.
pub(crate) fn interleave(methods: &mut [AnyMethod<'_>], pace: &Pace) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = methods.iter().map(|method| Series::new(method.as_ref())).collect();
    let start = Instant::now();
    let mut round = 0;
    while round == 0 || start.elapsed() < pace.budget {
        for turn in 0..methods.len() {
            let index = (round + turn) % methods.len();
            take_turn(methods[index].as_mut(), pace, &mut all[index])?;
        }
        round += 1;
    }
    Ok(all)
}

/// One turn of one method.
pub(crate) fn take_turn(method: &mut dyn Method, pace: &Pace, series: &mut Series) -> Result<()> {
    let context = || format!("`{}` of image `{}`", series.method, series.image);
    for _ in 0..pace.warm_up {
        method.load(&mut |exports| _ = black_box(exports)).with_context(context)?;
    }
    let turn = Instant::now();
    loop {
        let start = Instant::now();
        method.load(&mut |exports| _ = black_box(exports)).with_context(context)?;
        let end = Instant::now();
        // CAST: a load takes less than the 584 years that fit.
        series.nanoseconds.push((end - start).as_nanos() as u64);
        if end - turn >= pace.slice {
            return Ok(());
        }
    }
}
