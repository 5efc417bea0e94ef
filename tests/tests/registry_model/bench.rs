//! A worker beside its model: each step is taken by both, and they agree.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::device::{DeviceUsage, RingConfig};
use host_runner::registry::RegisterError;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};
use proptest::sample::Index;
use protocol::{CallableId, DataType, DeviceAddr};
use tests::flag::Flag;
use tests::workers::{SENTINEL, threads};

use crate::answers::{came_of_registering, end, end_of_unregistering};
use crate::bound::Bound;
use crate::calls::{Call, Deed, End, Output, Registered};
use crate::in_flight::InFlight;
use crate::memory;
use crate::model::Model;
use crate::programs::{Flaw, Program};
use crate::steps::{Run, Step};

/// How many bytes runs in flight may hold: about eight of the largest.
pub(crate) const IN_FLIGHT_BYTES: u64 = 40_000;

/// How long an orchestration may take to be unloaded. Those that hang cost as much.
const UNLOAD_LIMIT: Duration = Duration::from_secs(1);

/// How many handles are among the latest.
const LATEST: usize = 5;

/// A worker beside its model.
pub(crate) struct Bench<'s> {
    pub(crate) worker: Worker,
    pub(crate) model: Model,
    /// All handles that there ever were, in the model's order, but those that were dropped.
    pub(crate) handles: Vec<Option<CallableHandle>>,
    /// Where the allocations of the model are.
    pub(crate) addresses: Vec<DeviceAddr>,
    /// Devices that were lost before these were made.
    losses: u64,
    pub(crate) bound: Vec<Bound>,
    pub(crate) in_flight: InFlight,
    /// What code waits for that is to hang.
    pub(crate) flags: Vec<Flag>,
    /// What has happened in all sequences so far.
    seen: &'s RefCell<BTreeSet<String>>,
}

/// Another worker, and a handle of it.
pub(crate) static FOREIGN: LazyLock<(Worker, CallableHandle)> = LazyLock::new(|| {
    let worker = open();
    let program = Program { image: 0, entry: 1, downwards: false };
    let handle = worker.register(program.callable()).unwrap();
    (worker, handle)
});

/// A worker with rings that cost little.
pub(crate) fn open() -> Worker {
    let rings = RingConfig { task_window: 16, heap_bytes: 1 << 16, dep_pool: 0 };
    let config = WorkerConfig::default().with_rings(rings).with_unload_limit(UNLOAD_LIMIT);
    Worker::open(config.with_in_flight_bytes(IN_FLIGHT_BYTES)).unwrap()
}

/// Settings for a run; one that hangs shall cost little time.
pub(crate) fn config(deed: Deed, aicpu_threads: u32) -> RunConfig {
    let config = RunConfig { block_dim: 2, ..threads(aicpu_threads) };
    if deed == Deed::Hangs {
        let [timeout, grace] = [100, 50].map(Duration::from_millis);
        RunConfig { timeout, grace, ..config }
    } else {
        config
    }
}

impl<'s> Bench<'s> {
    pub(crate) fn new(seen: &'s RefCell<BTreeSet<String>>) -> Self {
        let worker = open();
        let model = Model::new(worker.facts().unwrap().callable_ids);
        Self {
            worker,
            model,
            handles: Vec::new(),
            addresses: Vec::new(),
            losses: 0,
            bound: Vec::new(),
            in_flight: InFlight::default(),
            flags: Vec::new(),
            seen,
        }
    }

    /// Remembers that something has happened.
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.seen.borrow_mut().insert(what.into());
    }

    pub(crate) fn take(&mut self, step: &Step) {
        let goes_beside_runs = matches!(
            step,
            Step::Run(_)
                | Step::Submit(_)
                | Step::Release
                | Step::Wait(_)
                | Step::Cancel(_)
                | Step::RunBound(..)
                | Step::Unregister(_)
        );
        // What comes of others depends on how far runs are that nothing holds up.
        if !goes_beside_runs && self.is_racing() {
            self.drain();
        }
        match step {
            Step::Register(program) => {
                self.register(None, *program);
            }
            Step::RegisterAs(id, program) => {
                if let Ok(id) = CallableId::new(*id as i64) {
                    self.register(Some(id), *program);
                }
            }
            Step::RegisterFlawed(flaw) => self.register_flawed(*flaw),
            Step::FillTable(program) => while self.register(None, *program) != Registered::Full {},
            Step::Unregister(index) => self.unregister(index),
            Step::BeginUnregister(index) => {
                if let Some((number, handle)) = self.handle(index) {
                    self.begin_unregister(number, &handle);
                }
            }
            Step::DropHandle(index) => self.drop_handle(index),
            Step::Run(run) if !self.in_flight.is_held => self.run(run),
            Step::Run(run) | Step::Submit(run) => {
                self.submit(run);
            }
            Step::Hold(index) => self.hold(index),
            Step::Release => self.release(),
            Step::Wait(index) => self.wait(index),
            Step::Cancel(index) => self.cancel(index),
            Step::Bind(run) => self.bind(run),
            Step::RunBound(index, deed, submits) => self.run_bound(index, *deed, *submits),
            Step::DropBound(index) => self.drop_bound(index),
            Step::Allocate(bytes) => {
                self.addresses.push(self.worker.allocate(*bytes).unwrap());
                self.model.allocations().push(vec![0; *bytes]);
            }
            // They would wait for what waits for the user.
            Step::Free(_) | Step::Copy { .. } | Step::RunBeyond(_) if self.in_flight.is_held => {}
            Step::Free(index) => self.free(index),
            Step::Copy { allocation, offset, bytes } => self.copy(allocation, offset, bytes),
            Step::RunBeyond(index) => self.run_beyond(index),
            Step::UseForeign => self.use_foreign(),
        }
        self.note_losses();
        if !self.is_racing() {
            self.check();
        }
    }

    /// Forgets what was on a device that is lost.
    pub(crate) fn note_losses(&mut self) {
        if self.losses != self.model.losses() {
            self.losses = self.model.losses();
            self.addresses.clear();
        }
    }

    fn check(&self) {
        assert_eq!(self.worker.usage(), self.model.usage(), "memory in use");
        assert_eq!(self.worker.counters(), self.model.counters());
        for (number, handle) in self.handles.iter().enumerate() {
            let Some(handle) = handle else { continue };
            assert_eq!(handle.is_stale(), !self.model.is_registered(number));
            assert_eq!(self.worker.runs_in_flight(handle), self.model.leases(number));
        }
        memory::check(&self.worker, &self.model);
    }

    /// What came of registering a callable; its handle is kept.
    fn registered(&mut self, result: Result<CallableHandle, RegisterError>) -> Registered {
        let registered = came_of_registering(&result);
        self.handles.extend(result.ok().map(Some));
        registered
    }

    fn register(&mut self, wanted: Option<CallableId>, program: Program) -> Registered {
        let result = match wanted {
            None => self.worker.register(program.callable()),
            Some(id) => self.worker.register_as(id, program.callable()),
        };
        let registered = self.registered(result);
        assert_eq!(registered, self.model.register(wanted.map(CallableId::index), program));
        let way = if wanted.is_some() { "register as" } else { "register" };
        match &registered {
            Registered::As { generation, .. } => self.note(format!("{way}: {}", generation > &1)),
            refused => self.note(format!("{way}: {refused:?}")),
        }
        registered
    }

    fn register_flawed(&mut self, flaw: Flaw) {
        let result = self.worker.register(&flaw.callable());
        let registered = self.registered(result);
        assert_eq!(registered, self.model.refuse(flaw.registered()), "{flaw:?}");
        if registered != Registered::Full {
            self.note(format!("register: {flaw:?}"));
        }
    }

    /// The handle that an index picks, and its number, unless it was dropped. Half of the indices
    /// pick one of the latest, most of which are not stale.
    pub(crate) fn handle(&self, index: &Index) -> Option<(usize, CallableHandle)> {
        let count = self.handles.len();
        let all = (count > 0).then(|| index.index(2 * count))?;
        let number = if all < count { all } else { count - 1 - (all - count) % count.min(LATEST) };
        Some((number, self.handles[number].clone()?))
    }

    fn unregister(&mut self, index: &Index) {
        let Some((number, handle)) = self.handle(index) else { return };
        if self.in_flight.is_held && self.model.leases(number) > 0 {
            return self.begin_unregister(number, &handle);
        }
        if self.is_racing() && self.model.may_linger() {
            // Which of the runs in flight came before the loss nobody knows.
            self.drain();
        }
        let waits = self.model.leases(number) > 0;
        let found = end_of_unregistering(self.worker.unregister(&handle));
        self.model.end_all_of(number);
        let accepted = self.model.unregister(number);
        let expected = match accepted {
            End::Done => self.model.given_back(number).unwrap().clone(),
            refused => refused,
        };
        assert_eq!(found, expected);
        self.note(format!("unregister: {found:?}{}", if waits { ", after runs" } else { "" }));
    }

    fn begin_unregister(&mut self, number: usize, handle: &CallableHandle) {
        let waits = self.model.leases(number) > 0;
        let begun = self.worker.begin_unregister(handle);
        let expected = self.model.unregister(number);
        if let Ok(completion) = begun {
            assert_eq!(expected, End::Done);
            self.in_flight.unregistrations.push((number, completion));
            self.note(if waits { "begin to unregister: waits" } else { "begin to unregister" });
        } else {
            assert_eq!(end_of_unregistering(begun), expected);
        }
        self.check_unregistrations();
    }

    fn drop_handle(&mut self, index: &Index) {
        let Some((number, handle)) = self.handle(index) else { return };
        drop(handle);
        self.handles[number] = None;
        self.note_drop(number);
    }

    /// The last handle of a callable unregisters it.
    pub(crate) fn note_drop(&mut self, number: usize) {
        let is_bound = self.bound.iter().any(|it| it.number == number);
        if self.handles[number].is_none() && !is_bound {
            let waits = self.model.leases(number) > 0;
            let ended = self.model.unregister(number);
            self.note(format!("drop: {ended:?}{}", if waits { ", before runs" } else { "" }));
        }
    }

    /// The allocation that a run's output is in.
    pub(crate) fn place(&self, run: &Run) -> Option<usize> {
        let allocations = self.addresses.len();
        run.device_output.filter(|_| allocations > 0).map(|it| it.index(allocations))
    }

    fn run(&mut self, run: &Run) {
        let Some((number, handle)) = self.handle(&run.handle) else { return };
        let (place, deed) = (self.place(run), run.deed);
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
        let flags = [Flag::new(), Flag::new()];
        for scalar in [deed as u64, flags[0].address(), flags[1].address()] {
            arguments.push_scalar(scalar).unwrap();
        }

        let found = end(self.worker.run(&handle, &mut arguments, &config(deed, run.aicpu_threads)));
        let call = Call { deed, output, cells: run.cells, bytes: 0 };
        let (expected, left) = self.model.run(number, call);
        self.keep(deed, flags);
        assert_eq!(found, expected);
        match (&found, output) {
            (End::Done, Output::Host) => assert_eq!(host, left),
            _ => assert!(host.iter().all(|cell| *cell == SENTINEL), "a failed run writes nothing"),
        }
        let place = if found == End::Done && place.is_some() { ", on the device" } else { "" };
        self.note(format!("run: {found:?}{place}"));
    }

    /// Keeps what code waits for after the run.
    pub(crate) fn keep(&mut self, deed: Deed, flags: [Flag; 2]) {
        if deed == Deed::Lingers {
            self.flags.extend(flags);
        }
    }

    fn run_beyond(&mut self, index: &Index) {
        let Some((number, handle)) = self.handle(index) else { return };
        for config in [threads(5), RunConfig { block_dim: 0, ..threads(1) }] {
            let found = end(self.worker.run(&handle, &mut Arguments::new(), &config));
            assert_eq!(found, self.model.refuse_settings(number));
            self.note(format!("run beyond: {found:?}"));
        }
    }

    fn use_foreign(&mut self) {
        let (owner, foreign) = &*FOREIGN;
        let ran = self.worker.run(foreign, &mut Arguments::new(), &threads(1));
        assert_eq!(end(ran), End::Foreign);
        assert_eq!(end_of_unregistering(self.worker.unregister(foreign)), End::Foreign);
        if let Some(own) = self.handles.iter().flatten().next_back() {
            assert_eq!(end_of_unregistering(owner.unregister(own)), End::Foreign);
            assert_eq!(end_of_unregistering(owner.begin_unregister(own)), End::Foreign);
            self.note("foreign");
        }
    }

    /// Gives everything back.
    pub(crate) fn finish(mut self) {
        self.drain();
        self.flags.iter().for_each(Flag::set);
        self.model.calm();
        self.bound.clear();
        for number in 0..self.handles.len() {
            let expected = self.model.unregister(number);
            let Some(handle) = self.handles[number].take() else { continue };
            assert_eq!(end_of_unregistering(self.worker.unregister(&handle)), expected);
        }
        self.note_losses();
        for address in std::mem::take(&mut self.addresses) {
            self.worker.free(address).unwrap();
        }
        self.model.allocations().clear();
        self.check();
        assert_eq!(self.worker.usage(), DeviceUsage::default());
    }
}
