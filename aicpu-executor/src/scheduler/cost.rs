//! What a task costs the scheduler, on a machine whose cores take no time: one thread, kernels that
//! are never called. To measure, and not only to see that all tasks come to an end:
//! `COST_ROUNDS=60 cargo test --release -p aicpu-executor --lib scheduler::cost -- --nocapture`.
//!
//! The tasks are submitted first, so that the time from then on is the scheduler's alone.

use core::cell::{Cell, UnsafeCell};
use std::boxed::Box;
use std::time::Instant;
use std::vec::Vec;

use protocol::{
    A2a3, CallableId, ConditionWord, CoreCallable, DispatchId, DispatchWord, MAX_FUNC_IDS,
};
use spin::Mutex;

use super::Scheduler;
use super::core_table::{Cluster, CoreLocation, Payloads};
use super::deferred::waiting_list::WaitingLists;
use super::partitions::{Driver, Partitions};
use super::task_store::Completer;
use super::thread::StepContext;
use crate::fault::FaultLatch;
use crate::graph::open;
use crate::loader::SymbolResolver;
use crate::orchestrator::task_rings::RingSizes;
use crate::orchestrator::{Orchestrator, Services};
use crate::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};
use crate::region::{Region, RegionLayout, RegionSizes};
use crate::testing::graph::{TestGraph, Uploaded};
use crate::testing::submission::Submission;
use crate::testing::{NoCodeMemory, zeroed};
use crate::wait::{Polled, work_until};

/// Clusters of the default configuration.
const CLUSTERS: u16 = 24;

/// Cores that take no time: they have finished as soon as they are given something, or when the thread
/// that has given it to them lets them.
#[derive(Debug)]
struct InstantCores {
    conditions: UnsafeCell<Vec<u32>>,
    /// Cores that have not finished, and what they will say then.
    waiting: UnsafeCell<Vec<(usize, u32)>>,
    is_lazy: Cell<bool>,
    begin: Instant,
}

impl InstantCores {
    fn new(cores: usize) -> Self {
        Self {
            conditions: UnsafeCell::new(std::vec![ConditionWord::IDLE.raw(); cores]),
            waiting: UnsafeCell::default(),
            is_lazy: Cell::new(false),
            begin: Instant::now(),
        }
    }
}

// SAFETY: one thread uses it.
unsafe impl Sync for InstantCores {}

impl Platform for InstantCores {
    type CodeMemory = NoCodeMemory;

    fn ticks(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }
    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock> {
        Some(RegisterBlock(u64::from(physical_core)))
    }
    #[inline]
    fn read_register(&self, block: RegisterBlock, _: usize) -> u32 {
        // SAFETY: one thread.
        unsafe { (&*self.conditions.get())[block.0 as usize] }
    }
    #[inline]
    fn write_register(&self, block: RegisterBlock, _: usize, value: u32) {
        if value == DispatchWord::EXIT.raw() || value == DispatchWord::IDLE.raw() {
            return;
        }
        let (core, id) = (block.0 as usize, DispatchId::new(value).unwrap_or(DispatchId::FIRST));
        let fin = ConditionWord::fin(id).raw();
        // SAFETY: one thread.
        let (conditions, waiting) =
            unsafe { (&mut *self.conditions.get(), &mut *self.waiting.get()) };
        if self.is_lazy.get() {
            waiting.push((core, fin));
        } else {
            conditions[core] = fin;
        }
    }
    fn run_dispatched(&self) {
        // SAFETY: one thread.
        let (conditions, waiting) =
            unsafe { (&mut *self.conditions.get(), &mut *self.waiting.get()) };
        for (core, fin) in waiting.drain(..) {
            conditions[core] = fin;
        }
    }
    fn notify_core(&self, _worker: usize) {}
    fn relax(&self, _rounds: u32) {
        self.run_dispatched();
    }
    fn invalidate_cache(&self, _address: u64, _bytes: usize) {}
    fn clean_cache(&self, _address: u64, _bytes: usize) {}
    fn code_memory(&self, _id: CallableId) -> &Mutex<NoCodeMemory> {
        unreachable!("nothing is loaded")
    }
    fn symbols(&self) -> &dyn SymbolResolver {
        unreachable!("nothing is loaded")
    }
    fn register_unwind(&self, _tables: UnwindTables) {}
    fn deregister_unwind(&self, _tables: UnwindTables) {}
    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        // SAFETY: the caller's promise.
        Ok(unsafe { call.invoke() })
    }
}

extern "C" fn nothing(_: *const u64) {}

fn clusters() -> Vec<Cluster> {
    let core = |worker: u16| CoreLocation { worker, block: RegisterBlock(u64::from(worker)) };
    (0..CLUSTERS)
        .map(|at| [core(at), core(CLUSTERS + 2 * at), core(CLUSTERS + 2 * at + 1)])
        .collect()
}

/// What the machine is made of.
struct Bench {
    platform: InstantCores,
    faults: FaultLatch,
    scheduler: Scheduler,
    payloads: Box<Payloads>,
    waiting: Box<WaitingLists>,
    table: &'static [u64; MAX_FUNC_IDS],
}

impl Bench {
    fn new() -> Self {
        let record = Box::leak(Box::new(CoreCallable {
            resolved_addr: nothing as *const () as u64,
            ..CoreCallable::default()
        }));
        let address = core::ptr::from_ref(&*record).expose_provenance() as u64;
        let cores = usize::from(CLUSTERS) * 3;
        Self {
            platform: InstantCores::new(cores),
            faults: FaultLatch::new(),
            scheduler: Scheduler::default(),
            payloads: zeroed(),
            waiting: zeroed(),
            table: Box::leak(Box::new([address; MAX_FUNC_IDS])),
        }
    }

    /// Schedules all tasks with this many partitions, all of them this thread's; nanoseconds. Cores wait
    /// for the thread if there are several.
    fn schedule<T: super::task_store::TaskStore>(&self, tasks: &T, partitions: usize) -> u64 {
        let cores = zeroed::<Partitions<A2a3>>();
        // SAFETY: one thread.
        unsafe { cores.form(&clusters(), partitions, |_| DispatchId::FIRST) };
        let mut driver = Driver::new(&cores, 0);
        let context = StepContext {
            platform: &self.platform,
            faults: &self.faults,
            scheduler: &self.scheduler,
            tasks,
            payloads: &self.payloads,
            waiting: &self.waiting,
            completer: Completer::Scheduler,
        };
        self.platform.is_lazy.set(partitions > 1);
        let begin = Instant::now();
        let end = work_until(
            &self.platform,
            &self.faults,
            1_000_000,
            || self.scheduler.progress::<A2a3, _>(&self.platform),
            || match driver.step(context) {
                true => Polled::Progress,
                false if self.scheduler.is_finished() => Polled::Done(()),
                false => Polled::Idle,
            },
        );
        assert_eq!(end, Ok(()));
        let ns = begin.elapsed().as_nanos() as u64;
        assert_eq!(self.faults.take(), None);
        ns
    }
}

/// Prints the best and the median of several rounds, per unit.
fn report(name: &str, units: u64, mut round: impl FnMut() -> u64) {
    let rounds = std::env::var("COST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut times: Vec<u64> = (0..rounds.unwrap_or(1_u32).max(1)).map(|_| round()).collect();
    times.sort_unstable();
    let per = |ns: u64| ns as f64 / units as f64;
    std::println!(
        "{name:28} min {:7.1} ns  p10 {:7.1}  p50 {:7.1}",
        per(times[0]),
        per(times[times.len() / 10]),
        per(times[times.len() / 2])
    );
}

/// Runs what `submit` submits, again and again.
fn rings(
    name: &str,
    partitions: usize,
    window: u64,
    units: u64,
    submit: impl Fn(&mut Submitter<'_, '_>),
) {
    let bench = Bench::new();
    let none = zeroed::<Partitions<A2a3>>();
    let sizes = RegionSizes::wanted(window, 0);
    let layout = RegionLayout::new(sizes).expect("valid sizes");
    let memory = std::vec![0_u128; layout.total() as usize / 16 + 8];
    let address = (memory.as_ptr().expose_provenance() as u64).next_multiple_of(64);
    // SAFETY: the memory outlives the region.
    let region = unsafe { Region::at(address, &layout) }.expect("aligned memory");
    region.clean();
    report(name, units, || {
        bench.scheduler.start();
        let sizes = RingSizes { window, heap_bytes: 1 << 30, edges: sizes.edges };
        let mut orchestrator = Orchestrator::new(region, sizes, 1 << 44);
        let mut services = Services::<A2a3, _> {
            platform: &bench.platform,
            faults: &bench.faults,
            scheduler: &bench.scheduler,
            payloads: &bench.payloads,
            waiting: &bench.waiting,
            kernels: bench.table,
            driver: Driver::new(&none, 0),
            stall_us: 1_000_000,
            cluster_count: u32::from(CLUSTERS),
        };
        let _root = orchestrator.scope_begin(&services, protocol::ScopeMode::Manual);
        let submitter = &mut Submitter {
            orchestrator: &mut orchestrator,
            services: &mut services,
            next: [0; 4],
        };
        submit(submitter);
        let _end = orchestrator.scope_end(&services);
        bench.scheduler.set_total(orchestrator.tasks());
        let ns = bench.schedule(&region, partitions);
        assert!(orchestrator.retire_all());
        ns
    });
}

struct Submitter<'a, 'b> {
    orchestrator: &'a mut Orchestrator,
    services: &'a mut Services<'b, A2a3, InstantCores>,
    next: [u32; 4],
}

impl Submitter<'_, '_> {
    fn submit(&mut self, task: Submission) -> protocol::TaskId {
        let (kernels, arg) = task.parts();
        // SAFETY: the record and all it points at live in `task`.
        unsafe { self.orchestrator.submit(self.services, kernels, arg) };
        let ring = 0;
        let id = protocol::TaskId::new(ring, self.next[0]);
        self.next[0] += 1;
        id
    }
}

const TASKS: u32 = 1000;

fn task() -> Submission {
    Submission::aiv(0).scalar(1).scalar(2).scalar(3).scalar(4)
}

#[test]
fn cost_of_independent_tasks() {
    for partitions in [1, 3] {
        rings(
            &std::format!("independent/{partitions}"),
            partitions,
            1024,
            u64::from(TASKS),
            |to| {
                for _ in 0..TASKS {
                    to.submit(task());
                }
            },
        );
    }
}

#[test]
fn cost_of_a_chain() {
    for partitions in [1, 3] {
        rings(&std::format!("chain/{partitions}"), partitions, 1024, u64::from(TASKS), |to| {
            let mut last = to.submit(task());
            for _ in 1..TASKS {
                last = to.submit(task().after(last));
            }
        });
    }
}

#[test]
fn cost_of_fork_and_join() {
    for partitions in [1, 3] {
        rings(&std::format!("fork-join/{partitions}"), partitions, 1024, 1000, |to| {
            let mut last = to.submit(task());
            for _ in 0..111 {
                let middle: Vec<_> = (0..8).map(|_| to.submit(task().after(last))).collect();
                last = to.submit(middle.iter().fold(task(), |task, before| task.after(*before)));
            }
        });
    }
}

#[test]
fn cost_of_a_block() {
    for partitions in [1, 3] {
        rings(&std::format!("block/{partitions}"), partitions, 1024, 10_000, |to| {
            to.submit(task().blocks(10_000, false));
        });
        rings(&std::format!("block of three/{partitions}"), partitions, 1024, 10_000, |to| {
            let kernels =
                protocol::MixedKernels { aic_kernel_id: 0, aiv0_kernel_id: 0, aiv1_kernel_id: 0 };
            to.submit(Submission::of(kernels).scalar(1).scalar(2).blocks(10_000, false));
        });
    }
}

#[test]
fn cost_of_a_replayed_task() {
    let chain: Vec<_> = (1..TASKS).map(|task| (task - 1, task)).collect();
    let wide: Vec<_> = (0..TASKS - 9)
        .filter(|task| task % 9 == 0)
        .flat_map(|fork| {
            (1..9).flat_map(move |leaf| [(fork, fork + leaf), (fork + leaf, fork + 9)])
        })
        .collect();
    for (name, edges) in
        [("replay", Vec::new()), ("replay chain", chain), ("replay fork-join", wide)]
    {
        let bench = Bench::new();
        let graph = TestGraph::new(TASKS as usize, &edges);
        let uploaded = Uploaded::new(&graph, 1);
        report(name, u64::from(TASKS), || {
            bench.scheduler.start();
            let (scheduler, faults) = (&bench.scheduler, &bench.faults);
            let begin = Instant::now();
            // SAFETY: what the run names outlives it, and this is its only thread.
            let opened =
                unsafe { open(&bench.platform, scheduler, faults, uploaded.run, bench.table) };
            let opened = opened.expect("a graph");
            scheduler.set_total(opened.graph.task_count());
            scheduler.make_roots_ready(
                &bench.platform,
                &opened.graph,
                faults,
                opened.graph.roots(),
            );
            let before = begin.elapsed().as_nanos() as u64;
            let ns = bench.schedule(&opened.graph, 3);
            opened.note_success(scheduler.queue_positions());
            before + ns
        });
    }
}
