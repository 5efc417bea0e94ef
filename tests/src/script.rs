//! Calls that an orchestration on the host makes, written down by a test: right ones and wrong ones.
//!
//! ```text
//!  Script ── words ──▶ tensor 0 of `script.cpp` ── calls ──▶ runtime
//!     ▲                                              │
//!     └──────────────── answers ◀────────────────────┘
//! ```
//!
//! So a test says what happens where it says what comes of it, and needs no source of its own.

use std::sync::atomic::{AtomicI64, Ordering};

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::callable::Callable;
use host_runner::run::{RunConfig, RunError, RunReport};
use host_runner::worker::{CallableHandle, Worker};
use protocol::{ChipName, CoreType};

use crate::flag::Flag;
use crate::sources;

/// Func id of `mix` on vector cores: words left, right, out, constant, count; in each of `count` cells
/// 3 left + right + constant.
pub const MIX: i32 = 0;
/// Func id of a kernel that throws.
pub const THROWS: i32 = 1;
/// Func id of a kernel that waits for a flag: words out, address of the flag.
pub const HOLD: i32 = 2;
/// Func id of `mix` on cube cores.
pub const MIX_ON_CUBE: i32 = 3;

/// The core type AIC, as calls have it.
pub const AIC: i32 = 0;
/// The core type AIV, as calls have it.
pub const AIV: i32 = 1;

/// The tensor that [`Script::run`] passes on.
pub const CELLS: u64 = 1;

/// An address, or any word, in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// As it is.
    Word(u64),
    /// So many bytes behind what a [`malloc`](Script::malloc) under this number gave.
    Memory(u64, u64),
    /// So many bytes behind the first of a tensor of the caller.
    Tensor(u64, u64),
}

/// Calls in their order. Without an end of its own, the entry returns 0 after the last one.
#[derive(Debug, Clone, Default)]
pub struct Script {
    words: Vec<u64>,
    calls: usize,
}

/// What came of a run.
#[derive(Debug)]
pub struct Played {
    /// The run's result.
    pub result: Result<RunReport, RunError>,
    /// What each call returned, 0 where it returns nothing; `None` for those that were not made.
    pub answers: Vec<Option<i64>>,
}

/// What a call that was not made has as an answer; no call returns it.
const NO_ANSWER: i64 = i64::MIN;

/// The callable that makes the calls of scripts.
pub fn player_for(chip: ChipName) -> Callable {
    let kernels = [
        (MIX, CoreType::Aiv, "graph/mix"),
        (THROWS, CoreType::Aiv, "throws"),
        (HOLD, CoreType::Aiv, "graph/hold"),
        (MIX_ON_CUBE, CoreType::Aic, "graph/mix"),
    ];
    let kernels = kernels.map(|(id, core, name)| sources::kernel_for(chip, id.into(), core, name));
    sources::host_callable_for(chip, "script", "play", kernels.into())
}

impl Script {
    /// No calls.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn call(mut self, number: u64, operands: &[u64]) -> Self {
        self.words.push(number);
        self.words.extend(operands);
        self.calls += 1;
        self
    }

    /// `device_malloc`, under a number below 16.
    #[must_use]
    pub fn malloc(self, which: u64, bytes: u64) -> Self {
        self.call(1, &[which, bytes])
    }

    /// `device_free`.
    #[must_use]
    pub fn free(self, memory: At) -> Self {
        self.call(2, &memory.words())
    }

    /// `copy_to_device`.
    #[must_use]
    pub fn copy(self, to: At, from: At, bytes: u64) -> Self {
        self.call(3, &[&to.words()[..], &from.words(), &[bytes]].concat())
    }

    /// `record_tensor_pair`.
    #[must_use]
    pub fn record(self, host: At, device: At, bytes: u64) -> Self {
        self.call(4, &[&host.words()[..], &device.words(), &[bytes]].concat())
    }

    /// `add_task` with these words.
    #[must_use]
    pub fn task(self, func_id: i32, core: i32, args: &[At]) -> Self {
        // CAST: a handful.
        self.task_of(func_id, core, args.len() as i32, args)
    }

    /// `add_task` that is told another number of words than there are; without any the array is null.
    #[must_use]
    pub fn task_of(self, func_id: i32, core: i32, told: i32, args: &[At]) -> Self {
        let given = args.len() as u64;
        let args: Vec<u64> = args.iter().flat_map(|at| at.words()).collect();
        let head = [signed(func_id), signed(core), signed(told), given];
        self.call(5, &[&head[..], &args].concat())
    }

    /// A task that mixes `count` cells: out = 3 left + right + constant.
    #[must_use]
    pub fn mix(self, left: At, right: At, out: At, constant: u64, count: u64) -> Self {
        self.task(MIX, AIV, &[left, right, out, At::Word(constant), At::Word(count)])
    }

    /// A task that waits for a flag, and writes 1 then.
    #[must_use]
    pub fn hold(self, out: At, flag: &Flag) -> Self {
        self.task(HOLD, AIV, &[out, At::Word(flag.address())])
    }

    /// `add_successor`.
    #[must_use]
    pub fn edge(self, from: i32, to: i32) -> Self {
        self.call(6, &[signed(from), signed(to)])
    }

    /// `set_tensor_info_to_task` with an array of zeros, or none.
    #[must_use]
    pub fn describe(self, task: i32, count: i32, is_null: bool) -> Self {
        self.call(7, &[signed(task), signed(count), is_null.into()])
    }

    /// `get_task_count`.
    #[must_use]
    pub fn count(self) -> Self {
        self.call(8, &[])
    }

    /// `print_runtime`.
    #[must_use]
    pub fn print(self) -> Self {
        self.call(9, &[])
    }

    /// The entry returns.
    #[must_use]
    pub fn returns(self, status: i32) -> Self {
        self.call(0, &[signed(status)])
    }

    /// The entry throws: 0 a `std::runtime_error`, 1 an `int`, 2 something of its own.
    #[must_use]
    pub fn throws(self, kind: u64) -> Self {
        self.call(10, &[kind])
    }

    /// The calls of `self`, then those of the other.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.words.extend(&other.words);
        self.calls += other.calls;
        self
    }

    /// How many calls there are.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// All words, with an end.
    pub fn encoded(&self) -> Vec<u64> {
        [&self.words[..], &[0, 0]].concat()
    }

    /// Runs it with tensors that it may name: `cells` is tensor [`CELLS`].
    ///
    /// What a run that fails leaves in the caller's memory must be what was there before, which is
    /// asserted.
    #[track_caller]
    pub fn run(
        &self,
        worker: &Worker,
        handle: &CallableHandle,
        config: &RunConfig,
        cells: &mut [u64],
    ) -> Played {
        let answers: Vec<_> = (0..self.calls).map(|_| AtomicI64::new(NO_ANSWER)).collect();
        let (words, before) = (self.encoded(), cells.to_vec());
        let mut arguments = Arguments::new();
        arguments.push_input(&words, &shape(&words)).expect("a script");
        let length = shape(cells);
        arguments.push_inout(cells, &length).expect("an output");
        arguments
            .push_scalar(answers.as_ptr().expose_provenance() as u64)
            .expect("an address of answers");
        let result = worker.run(handle, &mut arguments, config);
        drop(arguments);
        if result.is_err() {
            assert_eq!(cells, before, "a failed run leaves the caller's memory as it is");
        }
        let answer = |answer: &AtomicI64| {
            let value = answer.load(Ordering::SeqCst);
            (value != NO_ANSWER).then_some(value)
        };
        Played { result, answers: answers.iter().map(answer).collect() }
    }

    /// Arguments of a run that is submitted or bound. Its answers are not asked for.
    pub fn owned(&self, cells: &[u64]) -> OwnedArguments {
        let words = self.encoded();
        let mut arguments = OwnedArguments::new();
        arguments.push_input(&words, &shape(&words)).expect("a script");
        arguments.push_inout(cells, &shape(cells)).expect("an output");
        arguments.push_scalar(0).expect("no address");
        arguments
    }
}

impl At {
    fn words(self) -> [u64; 3] {
        match self {
            Self::Word(word) => [0, 0, word],
            Self::Memory(which, offset) => [1, which, offset],
            Self::Tensor(which, offset) => [2, which, offset],
        }
    }
}

/// A number as the word whose low bytes it is.
fn signed(number: i32) -> u64 {
    i64::from(number).cast_unsigned()
}

/// The shape of so many cells.
fn shape(cells: &[u64]) -> [u32; 1] {
    [u32::try_from(cells.len()).expect("a short tensor")]
}
