//! Who has what, which rules were broken, and which call is to fail.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chip::Chip;

/// Done.
pub const OK: i32 = 0;
/// It was initialised before.
pub const REPEATED: i32 = 100_002;
/// An argument is wrong.
pub const BAD_ARGUMENT: i32 = 107_000;
/// The thread has no context.
pub const NO_CONTEXT: i32 = 107_002;
/// There is no such stream.
pub const NO_STREAM: i32 = 107_003;
/// A stream is not done in time.
pub const LATE: i32 = 107_020;
/// No memory is left.
pub const NO_MEMORY: i32 = 207_001;
/// A core has failed.
pub const CORE_FAILED: i32 = 507_015;
/// The AICPU program has failed.
pub const AICPU_FAILED: i32 = 507_018;

/// What is to happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It returns this number and does nothing.
    Fail(i32),
    /// What it starts never ends.
    Hang,
    /// It says that it has done what it has not.
    Pretend,
}

/// A stream.
#[derive(Debug, Default)]
pub struct StreamBook {
    /// What is under way on it.
    pub work: Vec<crate::chip::Work>,
    /// Device memory that it uses.
    pub uses: Vec<u64>,
    /// Whether it was waited for since the last launch, whatever came of that.
    pub is_awaited: bool,
    /// Something on it never ends, or was not waited for to its end.
    pub is_stuck: bool,
}

impl StreamBook {
    /// Whether anything is under way on it.
    pub fn is_busy(&self) -> bool {
        !self.work.is_empty() || self.is_stuck
    }
}

/// Live allocations: bytes by address.
pub type Allocations = BTreeMap<u64, u64>;

/// Whether a range is inside one live allocation.
pub fn is_inside(memory: &Allocations, address: u64, bytes: u64) -> bool {
    memory.range(..=address).next_back().is_some_and(|(start, size)| {
        (address - start).checked_add(bytes).is_some_and(|end| end <= *size)
    })
}

/// All books.
pub struct Books {
    /// Calls of each function so far.
    pub calls: HashMap<&'static str, u64>,
    plans: Vec<(String, u64, Plan)>,
    /// Rules that were broken.
    pub violations: Vec<String>,
    /// Whether the interface is initialised.
    pub is_initialised: bool,
    /// Number of the opening of the device; 0: it is not open. Threads are attached to one of them.
    pub opening: u64,
    openings: u64,
    /// Live streams.
    pub streams: HashMap<u64, StreamBook>,
    next_stream: u64,
    /// Live allocations, with their bytes.
    pub memory: Allocations,
    /// How long a kernel may keep a core.
    pub op_timeout: Option<Duration>,
    /// Registered programs of the cores.
    pub programs: u64,
    /// What does the work.
    pub chip: Option<Chip>,
}

thread_local! {
    /// The opening that the calling thread is attached to.
    static ATTACHED: Cell<u64> = const { Cell::new(0) };
}

/// The books of the process.
pub fn books() -> MutexGuard<'static, Books> {
    static BOOKS: LazyLock<Mutex<Books>> = LazyLock::new(|| Mutex::new(Books::new()));
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Books {
    fn new() -> Self {
        Self {
            calls: HashMap::new(),
            plans: Vec::new(),
            violations: Vec::new(),
            is_initialised: false,
            opening: 0,
            openings: 0,
            streams: HashMap::new(),
            next_stream: 1,
            memory: BTreeMap::new(),
            op_timeout: None,
            programs: 0,
            chip: None,
        }
    }

    /// Notes a broken rule.
    pub fn violation(&mut self, text: String) {
        if let Some(file) = std::env::var_os("MOCK_CANN_REPORT") {
            let appended = std::fs::OpenOptions::new().create(true).append(true).open(file);
            // Who asked for the file looks at the list, too.
            let _is_written = appended.and_then(|mut file| writeln!(file, "{text}"));
        }
        self.violations.push(text);
    }

    /// Notes a call; the plan for it, if there is one.
    pub fn call(&mut self, name: &'static str) -> Option<Plan> {
        let count = self.calls.entry(name).or_default();
        *count += 1;
        let number = *count;
        let is_it = |(planned, at, _): &(String, u64, Plan)| planned == name && *at == number;
        let index = self.plans.iter().position(is_it)?;
        Some(self.plans.swap_remove(index).2)
    }

    /// Plans something for the `nth` call of a function from now on, from 1.
    pub fn plan(&mut self, name: &str, nth: u64, plan: Plan) {
        let so_far = self.calls.get(name).copied().unwrap_or_default();
        self.plans.push((name.to_owned(), so_far + nth, plan));
    }

    /// Forgets what was planned.
    pub fn unplan(&mut self) {
        self.plans.clear();
    }

    /// Whether the calling thread is attached; a rule is broken if it is not.
    pub fn is_attached(&mut self, name: &str) -> bool {
        let is_attached = self.opening != 0 && ATTACHED.get() == self.opening;
        if !is_attached {
            self.violation(format!("{name} was called by a thread without a context"));
        }
        is_attached
    }

    /// Attaches the calling thread, and opens the device if it is not.
    pub fn attach(&mut self) {
        if self.opening == 0 {
            self.openings += 1;
            self.opening = self.openings;
        }
        ATTACHED.set(self.opening);
    }

    /// Closes the device: nothing on it is there any more. Returns what was left on it.
    pub fn close(&mut self) -> Vec<String> {
        self.opening = 0;
        ATTACHED.set(0);
        let mut left: Vec<String> = self
            .memory
            .iter()
            .map(|(address, bytes)| format!("{bytes} bytes at {address:#x}"))
            .collect();
        left.extend(self.streams.keys().map(|stream| format!("stream {stream}")));
        self.memory.clear();
        self.streams.clear();
        self.op_timeout = None;
        if let Some(chip) = &mut self.chip {
            chip.power_off();
        }
        left
    }

    /// Makes a stream.
    pub fn add_stream(&mut self) -> u64 {
        let stream = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(stream, StreamBook::default());
        stream
    }

    /// Whether a range is inside one live allocation; a rule is broken if it is not.
    pub fn is_live(&mut self, name: &str, address: u64, bytes: u64) -> bool {
        let is_live = is_inside(&self.memory, address, bytes);
        if !is_live {
            self.violation(format!("{name}: {bytes} bytes at {address:#x} are not allocated"));
        }
        is_live
    }

    /// Whether anything is under way on any stream.
    pub fn is_busy(&self) -> bool {
        self.streams.values().any(StreamBook::is_busy)
    }

    /// Whether what is under way uses any of these bytes.
    pub fn is_used(&self, address: u64, bytes: u64) -> bool {
        let is_within = |used: &u64| (address..address + bytes).contains(used);
        self.streams.values().any(|stream| stream.uses.iter().any(is_within))
    }
}
