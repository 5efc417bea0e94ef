//! The one wait primitive.
//!
//! Whatever the executor waits for (a core's answer, a free task slot, a tensor, another thread),
//! it waits here: with a deadline on the platform's clock, with an eye on the fault latch, and
//! with the platform's wait hint between two polls. Spin counts appear nowhere else.

use crate::fault::FaultLatch;
use crate::platform::Platform;

/// How often the clock is read: every that many polls, and not before, so that a wait that is soon over
/// does not read it at all. Reading it costs about as much as a poll.
const POLLS_PER_CLOCK_READ: u32 = 16;

/// A point in time of a platform's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    ticks: u64,
}

impl Deadline {
    /// The point `microseconds` from now.
    pub(crate) fn after<P: Platform>(platform: &P, microseconds: u64) -> Self {
        let span = u128::from(microseconds) * u128::from(platform.ticks_per_second()) / 1_000_000;
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        Self { ticks: platform.ticks().saturating_add(span) }
    }

    /// Whether the point has passed.
    pub(crate) fn has_passed<P: Platform>(self, platform: &P) -> bool {
        platform.ticks() >= self.ticks
    }
}

/// Whether the clock is read after this many polls.
fn is_time_for_the_clock(rounds: u32) -> bool {
    rounds % POLLS_PER_CLOCK_READ == POLLS_PER_CLOCK_READ - 1
}

/// Why a wait ended without what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// A fault was reported, here or by another thread.
    Aborted,
    /// The deadline passed.
    TimedOut,
}

/// Polls until there is a value, a fault, or the deadline has passed.
///
/// `poll` may do useful work; it is called at least once.
pub(crate) fn wait_until<P: Platform, T>(
    platform: &P,
    faults: &FaultLatch,
    deadline: Deadline,
    mut poll: impl FnMut() -> Option<T>,
) -> Result<T, WaitEnd> {
    let mut rounds: u32 = 0;
    loop {
        if let Some(value) = poll() {
            return Ok(value);
        }
        if faults.is_raised() {
            return Err(WaitEnd::Aborted);
        }
        if is_time_for_the_clock(rounds) && deadline.has_passed(platform) {
            // Once more: this thread may have had no processor between its last look and now.
            return poll().ok_or(WaitEnd::TimedOut);
        }
        platform.relax(rounds);
        rounds = rounds.wrapping_add(1);
    }
}

/// As [`wait_until`], but faults do not end it: for what must be waited for however a run ends.
/// `None` if the deadline has passed.
pub(crate) fn wait_despite_faults<P: Platform, T>(
    platform: &P,
    deadline: Deadline,
    poll: impl FnMut() -> Option<T>,
) -> Option<T> {
    wait_until(platform, &FaultLatch::new(), deadline, poll).ok()
}

/// What one poll of [`work_until`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled<T> {
    /// The wait is over.
    Done(T),
    /// Not yet, but something was done: poll again at once.
    Progress,
    /// Nothing to do now.
    Idle,
}

/// Polls, and works, until there is a value, a fault, or nothing has moved for the whole budget.
///
/// A long graph is no stall: whenever `progress` (any number that changes when something moves) is
/// seen to have changed, the budget starts anew. It is looked at as often as the clock is, and the budget
/// begins with the first look: a wait that is soon over reads no clock at all.
pub(crate) fn work_until<P: Platform, T>(
    platform: &P,
    faults: &FaultLatch,
    budget_us: u64,
    progress: impl Fn() -> u64,
    mut poll: impl FnMut() -> Polled<T>,
) -> Result<T, WaitEnd> {
    let mut seen: Option<(u64, Deadline)> = None;
    let mut idle_rounds: u32 = 0;
    loop {
        match poll() {
            Polled::Done(value) => return Ok(value),
            Polled::Progress => {
                idle_rounds = 0;
                platform.interleave();
                platform.run_dispatched();
            }
            Polled::Idle => {
                // Not at the first one: a thread that works finds nothing now and then, too.
                if is_time_for_the_clock(idle_rounds) {
                    // The clock first: this thread may have no processor between the two, while
                    // others go on.
                    let is_late = seen.is_some_and(|(_, deadline)| deadline.has_passed(platform));
                    let now = progress();
                    if seen.is_none_or(|(before, _)| before != now) {
                        seen = Some((now, Deadline::after(platform, budget_us)));
                    } else if is_late {
                        return Err(WaitEnd::TimedOut);
                    }
                }
                platform.relax(idle_rounds);
                idle_rounds = idle_rounds.wrapping_add(1);
            }
        }
        if faults.is_raised() {
            return Err(WaitEnd::Aborted);
        }
    }
}
