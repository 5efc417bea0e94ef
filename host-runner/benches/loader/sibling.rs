//! What a busy neighbour costs: the same loads with a thread that spins on another processor.
//!
//! Threads of an executor spin while they wait. Changing the rights of pages or unmapping them
//! interrupts every processor that runs a thread of the process, and waits for it.

use anyhow::Result;

use crate::method::AnyMethod;
use crate::processor::Processors;
use crate::rounds::{Pace, Series, take_turn};

/// A method, and the names of its two rows.
pub(crate) struct Pair<'f> {
    pub(crate) method: AnyMethod<'f>,
    pub(crate) alone: &'static str,
    pub(crate) with_sibling: &'static str,
}

/// Times each pair without and with a sibling, in turns; empty where there is no other processor.
///
/// # Errors
///
/// A load fails.
pub(crate) fn compare(
    pairs: &mut [Pair<'_>],
    processors: &Processors,
    pace: &Pace,
) -> Result<Vec<Series>> {
    let name = |method, pair: &Pair<'_>| Series { method, ..Series::new(pair.method.as_ref()) };
    let mut alone: Vec<_> = pairs.iter().map(|pair| name(pair.alone, pair)).collect();
    let mut beside: Vec<_> = pairs.iter().map(|pair| name(pair.with_sibling, pair)).collect();
    let start = std::time::Instant::now();
    while start.elapsed() < pace.budget {
        for (pair, series) in pairs.iter_mut().zip(&mut alone) {
            take_turn(pair.method.as_mut(), pace, series)?;
        }
        let Some(_sibling) = processors.spin_beside() else { return Ok(Vec::new()) };
        for (pair, series) in pairs.iter_mut().zip(&mut beside) {
            take_turn(pair.method.as_mut(), pace, series)?;
        }
    }
    Ok(alone.into_iter().chain(beside).collect())
}
