//! What a scene is: programs, cases, and what a run of each must come to.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use host_runner::device::RingConfig;
use protocol::{ChipName, StatusCode};

use crate::arguments::CaseArguments;
use crate::program::Program;
use crate::stage::Stage;

/// Both chips.
pub const BOTH_CHIPS: &[ChipName] = &[ChipName::A2a3, ChipName::A5];

/// A row of the table for each chip.
#[derive(Debug)]
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a line.
    pub summary: &'static str,
    /// Its callables; cases name them by their names.
    pub programs: Vec<Program>,
    /// Its cases, in the order in which they run.
    pub cases: Vec<Case>,
}

/// One set of arguments, run on every number of AICPU threads and every block_dim.
pub struct Case {
    /// Its name in messages.
    pub name: String,
    /// Where it runs.
    pub chips: &'static [ChipName],
    /// Whether a run takes well under 100 ms, so that it is also run under many seeds.
    pub small: bool,
    /// Whether its devices share windows.
    pub windows: bool,
    /// AICPU threads of the runs; `None` is all that the chip has.
    pub threads: Option<Vec<u32>>,
    /// Clusters of the runs, one run for each.
    pub block_dims: Vec<u32>,
    /// Ring sizes; zeros are the executor's own.
    pub rings: RingConfig,
    /// Runs in each setting.
    pub rounds: u32,
    /// How long nothing may move; zero is the runner's own limit.
    pub stall_timeout: Duration,
    /// What is run.
    pub work: Work,
}

/// What a case runs.
pub enum Work {
    /// One callable with one set of arguments.
    Run {
        /// The name of the program.
        program: &'static str,
        /// The arguments. They are computed when the case is run, once.
        arguments: Box<dyn Fn() -> CaseArguments>,
        /// What it must come to.
        expect: Expect,
    },
    /// Anything else: several workers, several callables, runs at the same time.
    Own(OwnRun),
}

/// A run that a scene arranges itself. Returns the tasks that ran, or what is wrong.
pub type OwnRun = Box<dyn Fn(&Stage<'_>) -> Result<u64, String>>;

/// What a run must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Success, with the expected elements.
    Values {
        /// Tasks that the orchestration submits.
        tasks: u64,
    },
    /// A fault. The caller's memory must be untouched, and the scene's first case that expects
    /// values is run right after it on the same worker.
    Fault {
        /// The status.
        status: StatusCode,
        /// What the report must contain.
        parts: Vec<String>,
    },
}

impl Expect {
    /// A fault with this status and these parts in its report.
    #[must_use]
    pub fn fault(status: StatusCode, parts: &[&str]) -> Self {
        Self::Fault { status, parts: parts.iter().map(|&part| part.to_owned()).collect() }
    }
}

impl Case {
    /// A case of the program `program`: both chips, block_dims 24 and 3, one round.
    pub fn new(
        name: impl Into<String>,
        program: &'static str,
        expect: Expect,
        arguments: impl Fn() -> CaseArguments + 'static,
    ) -> Self {
        Self::with(name, Work::Run { program, arguments: Box::new(arguments), expect })
    }

    /// A case that arranges its runs itself.
    pub fn own(
        name: impl Into<String>,
        run: impl Fn(&Stage<'_>) -> Result<u64, String> + 'static,
    ) -> Self {
        Self::with(name, Work::Own(Box::new(run)))
    }

    fn with(name: impl Into<String>, work: Work) -> Self {
        Self {
            name: name.into(),
            chips: BOTH_CHIPS,
            small: false,
            windows: false,
            threads: None,
            block_dims: vec![24, 3],
            rings: RingConfig::default(),
            rounds: 1,
            stall_timeout: Duration::ZERO,
            work,
        }
    }

    /// On these chips only.
    #[must_use]
    pub fn chips(mut self, chips: &'static [ChipName]) -> Self {
        self.chips = chips;
        self
    }

    /// A run of it takes well under 100 ms.
    #[must_use]
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    /// Its devices share windows.
    #[must_use]
    pub fn windows(mut self) -> Self {
        self.windows = true;
        self
    }

    /// With these numbers of AICPU threads only, because a run takes long.
    #[must_use]
    pub fn threads(mut self, threads: &[u32]) -> Self {
        self.threads = Some(threads.to_vec());
        self
    }

    /// The numbers of AICPU threads of `range` that it runs with: those it names, or, if it names
    /// none of them, all.
    #[must_use]
    pub fn threads_of(&self, range: &RangeInclusive<u32>) -> Vec<u32> {
        let is_named = |threads: &u32| self.threads.iter().flatten().any(|named| named == threads);
        let named: Vec<u32> = range.clone().filter(is_named).collect();
        if named.is_empty() { range.clone().collect() } else { named }
    }

    /// With these numbers of clusters.
    #[must_use]
    pub fn block_dims(mut self, block_dims: &[u32]) -> Self {
        self.block_dims = block_dims.to_vec();
        self
    }

    /// With this many slots and this much heap for each ring; zero is the executor's own size.
    #[must_use]
    pub fn rings(mut self, task_window: u64, heap_bytes: u64) -> Self {
        self.rings = RingConfig { task_window, heap_bytes, dep_pool: 0 };
        self
    }

    /// This many runs in each setting.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// With this limit on how long nothing may move.
    #[must_use]
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.stall_timeout = limit;
        self
    }

    /// Whether a run of this shows that a worker is as new after `fault` failed.
    #[must_use]
    pub fn recovers(&self, fault: &Case) -> bool {
        let expects_values = matches!(&self.work, Work::Run { expect: Expect::Values { .. }, .. });
        expects_values && self.rings == fault.rings
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}
