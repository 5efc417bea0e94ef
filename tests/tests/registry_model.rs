//! Random sequences of what a user does with a worker, against a simple model of it: after each
//! step, the answer, the outputs, the memory in use and the counters are those of the model.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::device::{DeviceUsage, RingConfig};
use host_runner::registry::{RegisterError, UnregisterError};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use protocol::{DataType, DeviceAddr};
use tests::flag::Flag;
use tests::workers::{SENTINEL, threads};

use model::{Deed, End, Model, Output, Registered};
use programs::{Flaw, IMAGES, Program};

#[path = "registry_model/model.rs"]
mod model;
#[path = "registry_model/programs.rs"]
mod programs;

/// Something that a user does. An index picks one of what is there, if there is anything.
#[derive(Debug, Clone)]
enum Step {
    Register(Program),
    RegisterFlawed(Flaw),
    /// Registers until no id is left, and once more.
    FillTable(Program),
    /// Of any handle that there ever was.
    Unregister(Index),
    Run(Run),
    Allocate(usize),
    Free(Index),
    /// Writes some bytes from somewhere in an allocation, and reads them all.
    Copy {
        allocation: Index,
        offset: Index,
        bytes: Vec<u8>,
    },
    /// With settings beyond the device.
    RunBeyond(Index),
    /// Of another worker.
    UseForeign,
}

/// A run of any handle that there ever was.
#[derive(Debug, Clone)]
struct Run {
    handle: Index,
    deed: Deed,
    /// The allocation that its output is in, if it shall not be on the host. Only if it works: what
    /// a run that fails leaves there nobody knows.
    device_output: Option<Index>,
    /// Cells of output and input, the latter of which may be none.
    cells: [usize; 2],
    aicpu_threads: u32,
}

fn program() -> impl Strategy<Value = Program> {
    (0..IMAGES, 1..=2_u64, any::<bool>()).prop_map(|(image, entry, downwards)| Program {
        image,
        entry,
        downwards,
    })
}

fn run() -> impl Strategy<Value = Run> {
    let deed = prop_oneof![
        80 => Just(Deed::Works),
        10 => Just(Deed::ReportsFatal),
        10 => Just(Deed::Throws),
        10 => Just(Deed::NamesMissingKernel),
        10 => Just(Deed::CallsThrowingKernel),
        1 => Just(Deed::Hangs),
    ];
    let device_output = proptest::option::weighted(0.3, any::<Index>());
    let cells = [1..80_usize, 0..80];
    (any::<Index>(), deed, device_output, cells, 1..=4_u32).prop_map(
        |(handle, deed, device_output, cells, aicpu_threads)| Run {
            handle,
            deed,
            device_output: device_output.filter(|_| deed == Deed::Works),
            cells,
            aicpu_threads,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let copy = (any::<Index>(), any::<Index>(), vec(any::<u8>(), 1..100))
        .prop_map(|(allocation, offset, bytes)| Step::Copy { allocation, offset, bytes });
    prop_oneof![
        // Costs more than all other steps of a sequence together.
        1 => program().prop_map(Step::FillTable),
        200 => program().prop_map(Step::Register),
        60 => select(&Flaw::ALL[..]).prop_map(Step::RegisterFlawed),
        200 => any::<Index>().prop_map(Step::Unregister),
        500 => run().prop_map(Step::Run),
        80 => (1..1000_usize).prop_map(Step::Allocate),
        40 => any::<Index>().prop_map(Step::Free),
        80 => copy,
        20 => any::<Index>().prop_map(Step::RunBeyond),
        20 => Just(Step::UseForeign),
    ]
}

/// A worker beside its model.
struct Bench<'s> {
    worker: Worker,
    model: Model,
    /// All handles that there ever were, in the model's order.
    handles: Vec<CallableHandle>,
    /// Where the allocations of the model are.
    addresses: Vec<DeviceAddr>,
    /// What has happened in all sequences so far.
    seen: &'s RefCell<BTreeSet<String>>,
}

/// Another worker, and a handle of it.
static FOREIGN: LazyLock<(Worker, CallableHandle)> = LazyLock::new(|| {
    let worker = open();
    let program = Program { image: 0, entry: 1, downwards: false };
    let handle = worker.register(program.callable()).unwrap();
    (worker, handle)
});

/// A worker with rings that cost little.
fn open() -> Worker {
    let rings = RingConfig { task_window: 16, heap_bytes: 1 << 16, dep_pool: 0 };
    Worker::open(WorkerConfig::default().with_rings(rings)).unwrap()
}

/// What came of a call: the one place that knows how the worker says so.
fn end<T>(result: Result<T, RunError>) -> End {
    match result {
        Ok(_) => End::Done,
        Err(RunError::StaleCallable(_)) => End::Stale,
        Err(RunError::ForeignHandle) => End::Foreign,
        Err(RunError::Fault(fault)) => End::Fault(fault.code.unwrap()),
        Err(RunError::DeviceLost(_)) => End::Lost,
        Err(RunError::BlockDim { .. } | RunError::AicpuThreads { .. }) => End::Settings,
        Err(RunError::Memory(_)) => End::OutOfRange,
        Err(other) => panic!("{other:?}"),
    }
}

/// The same of an unregistration.
fn end_of_unregistering(result: Result<(), UnregisterError>) -> End {
    match result {
        Ok(()) => End::Done,
        Err(UnregisterError::StaleCallable(_)) => End::Stale,
        Err(UnregisterError::ForeignHandle) => End::Foreign,
        Err(other) => panic!("{other:?}"),
    }
}

impl Bench<'_> {
    /// Remembers that something has happened.
    fn note(&self, what: impl Into<String>) {
        self.seen.borrow_mut().insert(what.into());
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Register(program) => {
                self.register(*program);
            }
            Step::RegisterFlawed(flaw) => self.register_flawed(*flaw),
            Step::FillTable(program) => while self.register(*program) != Registered::Full {},
            Step::Unregister(index) => self.unregister(index),
            Step::Run(run) => self.run(run),
            Step::Allocate(bytes) => {
                self.addresses.push(self.worker.allocate(*bytes).unwrap());
                self.model.allocations().push(vec![0; *bytes]);
            }
            Step::Free(index) => self.free(index),
            Step::Copy { allocation, offset, bytes } => self.copy(allocation, offset, bytes),
            Step::RunBeyond(index) => self.run_beyond(index),
            Step::UseForeign => self.use_foreign(),
        }
        assert_eq!(self.worker.usage(), self.model.usage(), "memory in use");
        assert_eq!(self.worker.counters(), self.model.counters());
    }

    /// What came of registering a callable; its handle is kept.
    fn registered(&mut self, result: Result<CallableHandle, RegisterError>) -> Registered {
        match result {
            Ok(handle) => {
                let id = handle.id().index();
                self.handles.push(handle);
                Registered::Id(id)
            }
            Err(RegisterError::Full { .. }) => Registered::Full,
            Err(RegisterError::Orchestration { .. }) => Registered::BadOrchestration,
            Err(RegisterError::Kernel { func_id, .. }) => Registered::BadKernel(func_id.index()),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn register(&mut self, program: Program) -> Registered {
        let result = self.worker.register(program.callable());
        let registered = self.registered(result);
        assert_eq!(registered, self.model.register(program));
        if registered == Registered::Full {
            self.note("register: Full");
        }
        registered
    }

    fn register_flawed(&mut self, flaw: Flaw) {
        let result = self.worker.register(&flaw.callable());
        let registered = self.registered(result);
        assert_eq!(registered, self.model.refuse(flaw), "{flaw:?}");
        if registered != Registered::Full {
            self.note(format!("register: {flaw:?}"));
        }
    }

    /// The handle that an index picks, and its number.
    fn handle(&self, index: &Index) -> Option<(usize, CallableHandle)> {
        let count = self.handles.len();
        let number = (count > 0).then(|| index.index(count))?;
        Some((number, self.handles[number].clone()))
    }

    fn unregister(&mut self, index: &Index) {
        let Some((number, handle)) = self.handle(index) else { return };
        let found = end_of_unregistering(self.worker.unregister(&handle));
        assert_eq!(found, self.model.unregister(number));
        self.note(format!("unregister: {found:?}"));
    }

    fn run(&mut self, run: &Run) {
        let Some((number, handle)) = self.handle(&run.handle) else { return };
        let allocations = self.addresses.len();
        let place = run.device_output.filter(|_| allocations > 0).map(|it| it.index(allocations));
        let output = place.map_or(Output::Host, Output::Device);
        let [cells, input] = run.cells;
        let (mut host, input_cells) = (vec![SENTINEL; cells], vec![7_u64; input]);

        let mut arguments = Arguments::new();
        let shape = |count: usize| [u32::try_from(count).unwrap()];
        match place {
            None => arguments.push_output(&mut host, &shape(cells)).unwrap(),
            Some(place) => {
                let data = TensorData::Device(self.addresses[place]);
                let (dtype, shape) = (DataType::Uint64, shape(cells).to_vec());
                arguments.push_tensor(TensorArgument { data, dtype, shape }).unwrap();
            }
        }
        if input > 0 {
            arguments.push_input(&input_cells, &shape(input)).unwrap();
        }
        let flag = Flag::new();
        arguments.push_scalar(run.deed as u64).unwrap();
        arguments.push_scalar(flag.address()).unwrap();

        let hangs = run.deed == Deed::Hangs && self.model.is_registered(number);
        let found = end(self.worker.run(&handle, &mut arguments, &config(run, hangs)));
        let (expected, left) = self.model.run(number, run.deed, output, run.cells);
        assert_eq!(found, expected);
        match (&found, output) {
            (End::Done, Output::Host) => assert_eq!(host, left),
            (End::Lost, _) => self.addresses.clear(),
            _ => assert!(host.iter().all(|cell| *cell == SENTINEL), "a failed run writes nothing"),
        }
        let place = if found == End::Done && place.is_some() { ", on the device" } else { "" };
        self.note(format!("run: {found:?}{place}"));
    }

    fn free(&mut self, index: &Index) {
        let count = self.addresses.len();
        let Some(number) = (count > 0).then(|| index.index(count)) else { return };
        let address = self.addresses.remove(number);
        self.model.allocations().remove(number);
        self.worker.free(address).unwrap();
        // Nothing has been allocated in between that could be there now.
        assert!(self.worker.free(address).is_err(), "freed twice");
        self.note("free");
    }

    fn copy(&mut self, allocation: &Index, offset: &Index, bytes: &[u8]) {
        let count = self.addresses.len();
        let Some(number) = (count > 0).then(|| allocation.index(count)) else { return };
        let address = self.addresses[number];
        let content = &mut self.model.allocations()[number];
        let offset = offset.index(content.len());
        let copied = self.worker.copy_in(address.checked_add(offset as u64).unwrap(), bytes);
        let fits = offset + bytes.len() <= content.len();
        assert_eq!(copied.is_ok(), fits, "{copied:?}");
        if fits {
            content[offset..][..bytes.len()].copy_from_slice(bytes);
        }
        let mut found = vec![0; content.len()];
        self.worker.copy_out(&mut found, address).unwrap();
        assert_eq!(&found, content);
        self.note(format!("copy that fits: {fits}"));
    }

    fn run_beyond(&mut self, index: &Index) {
        let Some((number, handle)) = self.handle(index) else { return };
        let beyond = [threads(5), RunConfig { block_dim: 0, ..threads(1) }];
        let registered = self.model.is_registered(number);
        let expected = if registered { End::Settings } else { End::Stale };
        for config in beyond {
            let found = end(self.worker.run(&handle, &mut Arguments::new(), &config));
            assert_eq!(found, expected);
        }
        self.note(format!("run beyond: {expected:?}"));
    }

    fn use_foreign(&mut self) {
        let (owner, foreign) = &*FOREIGN;
        let ran = self.worker.run(foreign, &mut Arguments::new(), &threads(1));
        assert_eq!(end(ran), End::Foreign);
        assert_eq!(end_of_unregistering(self.worker.unregister(foreign)), End::Foreign);
        if let Some(own) = self.handles.last() {
            assert_eq!(end_of_unregistering(owner.unregister(own)), End::Foreign);
            self.note("foreign");
        }
    }

    /// Gives everything back.
    fn finish(mut self) {
        for number in 0..self.model.handles() {
            let found = end_of_unregistering(self.worker.unregister(&self.handles[number]));
            assert_eq!(found, self.model.unregister(number));
        }
        for address in std::mem::take(&mut self.addresses) {
            self.worker.free(address).unwrap();
        }
        assert_eq!(self.worker.usage(), DeviceUsage::default());
    }
}

/// Settings for a run; one that hangs shall cost little time.
fn config(run: &Run, hangs: bool) -> RunConfig {
    let config = RunConfig { block_dim: 2, ..threads(run.aicpu_threads) };
    if hangs {
        let [timeout, grace] = [200, 50].map(Duration::from_millis);
        RunConfig { timeout, grace, ..config }
    } else {
        config
    }
}

#[test]
fn a_worker_does_what_its_model_does() {
    let seen = RefCell::new(BTreeSet::new());
    // The same sequences each time, so that a failure comes again.
    let config = Config {
        cases: 40,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let sequences = vec(step(), 1..80);
    let result = TestRunner::new(config).run(&sequences, |steps| {
        let (worker, model) = (open(), Model::default());
        let (handles, addresses) = (Vec::new(), Vec::new());
        let mut bench = Bench { worker, model, handles, addresses, seen: &seen };
        steps.iter().for_each(|step| bench.take(step));
        bench.finish();
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner();
    let missing: Vec<_> = happenings().into_iter().filter(|each| !seen.contains(each)).collect();
    assert_eq!(missing, Vec::<String>::new(), "the sequences are not what they should be");
}

/// What must have happened in the sequences.
fn happenings() -> Vec<String> {
    let faults = ["ExplicitFatal", "EntryException", "KernelMissing", "KernelException"];
    let faults = faults.map(|fault| format!("run: Fault({fault})"));
    let ends = ["Done", "Stale", "OutOfRange", "Lost"].map(|end| format!("run: {end}"));
    let others = [
        "run: Done, on the device",
        "unregister: Done",
        "unregister: Stale",
        "run beyond: Settings",
        "run beyond: Stale",
        "register: Full",
        "copy that fits: true",
        "copy that fits: false",
        "free",
        "foreign",
    ];
    let flaws = Flaw::ALL.map(|flaw| format!("register: {flaw:?}"));
    let others = others.map(str::to_owned);
    [&faults[..], &ends, &others, &flaws].concat()
}
