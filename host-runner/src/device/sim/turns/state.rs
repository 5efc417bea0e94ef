//! Who has the turn, who wants it, and who does without.

use std::time::{Duration, Instant};

use super::policy::Policy;
use super::trace::{Point, Trace};

/// Actors below this number are AICPU threads, the others are cores.
pub(super) const AICPU_LIMIT: usize = 8;
/// Set of actors, by number.
pub(super) type ActorSet = u128;

/// How long a kernel may keep the turn. TIMEOUT: far above the kernels of small scenes, and above several time
/// slices of a busy machine, which may take the processor from a brief one; one that takes longer is most likely waiting
/// for somebody.
pub(super) const KERNEL_PATIENCE: Duration = Duration::from_millis(40);
/// The same for an AICPU thread: only user code that hangs takes that long between two points.
pub(super) const AICPU_PATIENCE: Duration = Duration::from_millis(500);

/// Who has the turn, and who wants it.
#[derive(Debug)]
pub(super) struct State {
    /// AICPU threads of the run; 0 while no run takes turns.
    pub(super) count: usize,
    pub(super) arrived: usize,
    pub(super) left: usize,
    pub(super) current: Option<usize>,
    /// When the one with the turn got it or came to its last point.
    pub(super) since: Instant,
    /// Actors that could go on.
    pub(super) runnable: ActorSet,
    pub(super) outside: ActorSet,
    /// Entries of kernels that had to go outside in this run.
    pub(super) blocking: Vec<u64>,
    pub(super) policy: Policy,
    pub(super) trace: Trace,
    pub(super) runs: u64,
}

impl State {
    /// No run yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            count: 0,
            arrived: 0,
            left: 0,
            current: None,
            since: Instant::now(),
            runnable: 0,
            outside: 0,
            blocking: Vec::new(),
            policy: Policy::new(seed),
            trace: Trace::default(),
            runs: 0,
        }
    }

    pub(super) fn take(&mut self, actor: usize) {
        self.current = Some(actor);
        self.since = Instant::now();
    }

    pub(super) fn has_runnable_core(&self) -> bool {
        self.runnable & !bit_range(AICPU_LIMIT) != 0
    }

    pub(super) fn choose(&mut self, me: Option<usize>, point: Point) -> Option<usize> {
        self.policy.choose(self.runnable, me, point == Point::Relax)
    }

    /// Takes an actor back in that may have been put outside; whether it has the turn.
    pub(super) fn come_back(&mut self, actor: usize) -> bool {
        if self.outside & bit(actor) != 0 {
            self.outside &= !bit(actor);
            self.runnable |= bit(actor);
            if self.current.is_none() {
                self.take(actor);
            }
        }
        self.current == Some(actor)
    }

    pub(super) fn put_outside(&mut self, actor: usize) {
        self.outside |= bit(actor);
        self.runnable &= !bit(actor);
        self.trace.lose();
        if self.current == Some(actor) {
            self.current = None;
        }
    }

    pub(super) fn note_blocking(&mut self, entry: u64) {
        if !self.blocking.contains(&entry) {
            self.blocking.push(entry);
        }
    }
}

/// How long an actor may keep the turn.
pub(super) fn patience(actor: usize) -> Duration {
    if actor < AICPU_LIMIT { AICPU_PATIENCE } else { KERNEL_PATIENCE }
}

/// The set of one.
pub(super) fn bit(actor: usize) -> ActorSet {
    1 << actor
}

/// The actors below a number.
pub(super) fn bit_range(end: usize) -> ActorSet {
    (1 << end) - 1
}
