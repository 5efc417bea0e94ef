//! A machine for tests of orchestrator and scheduler: one AICPU thread, cores that run when the
//! test says so.
//!
//! A dispatched core does nothing until the platform's wait hint is called; then one of the cores
//! that have something to do, picked by a seeded generator, runs its kernel. So every test run is
//! one interleaving, the seed picks which, and nothing depends on the time.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};
use std::boxed::Box;
use std::vec::Vec;

use protocol::{
    A2a3, CallableId, Chip, ConditionWord, CoreCallable, DispatchId, DispatchPayload, DispatchWord,
    MAX_FUNC_IDS,
};

use spin::Mutex;

use crate::fault::{Fault, FaultLatch};
use crate::loader::{CodeMemory, Import, MemoryError, Plan, SymbolResolver};
use crate::orchestrator::task_rings::RingSizes;
use crate::orchestrator::{Orchestrator, Services};
use crate::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};
use crate::region::{Region, RegionLayout, RegionSizes};
use crate::scheduler::Scheduler;
use crate::scheduler::core_table::{Cluster, CoreLocation, Payloads};
use crate::scheduler::deferred::waiting_list::WaitingLists;
use crate::scheduler::partitions::{Driver, Partitions};
use crate::wait::WaitEnd;

pub(crate) mod device;
pub(crate) mod graph;
pub(crate) mod graph_machine;
pub(crate) mod kernel_context;
pub(crate) mod submission;

/// A kernel of a test.
pub(crate) type Kernel = extern "C" fn(*const u64);

/// A core that was given something to do.
#[derive(Debug, Clone, Copy)]
struct Dispatched {
    worker: usize,
    id: DispatchId,
}

/// The cores and the clock.
#[derive(Debug)]
struct Cores {
    /// COND of each core.
    conditions: Vec<u32>,
    dispatched: Vec<Dispatched>,
    random: u64,
    /// Most cores that had something to do at one time.
    most_at_once: usize,
}

/// The platform of a test.
#[derive(Debug)]
pub(crate) struct TestPlatform {
    cores: RefCell<Cores>,
    payloads: *const Payloads,
    clock: AtomicU64,
    /// How often cache lines were invalidated.
    invalidations: AtomicU64,
    /// Ticks that pass between two looks at the clock.
    tick: u64,
}

// SAFETY: a test uses its platform from one thread only.
unsafe impl Sync for TestPlatform {}

impl TestPlatform {
    /// A platform without cores.
    pub(crate) fn without_cores() -> Self {
        // Waits for cores that are not there need not take long.
        let machine = Machine { clusters: 0, ..Machine::default() };
        Self { tick: 100_000, ..machine.platform(core::ptr::null()) }
    }

    /// How often cache lines were invalidated.
    pub(crate) fn invalidations(&self) -> u64 {
        self.invalidations.load(Ordering::Relaxed)
    }

    fn run_one_core(&self) {
        let picked = {
            let mut cores = self.cores.borrow_mut();
            if cores.dispatched.is_empty() {
                return;
            }
            cores.random = cores.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = (cores.random >> 33) as usize % cores.dispatched.len();
            cores.dispatched.swap_remove(index)
        };
        // SAFETY: the machine outlives its platform's use, and its payloads do not move.
        let address = unsafe { (*self.payloads).address(picked.worker) };
        let pair = core::ptr::with_exposed_provenance::<DispatchPayload>(address as usize);
        // SAFETY: the payload was filled for this id, and nobody writes it before FIN.
        let payload = unsafe { &*pair.add(picked.id.buffer()) };
        let code = core::ptr::with_exposed_provenance::<()>(payload.function_bin_addr as usize);
        // SAFETY: the machine's kernel table holds kernels only.
        let kernel = unsafe { core::mem::transmute::<*const (), Kernel>(code) };
        kernel(payload.args.as_ptr());
        self.cores.borrow_mut().conditions[picked.worker] = ConditionWord::fin(picked.id).raw();
    }
}

/// Memory that refuses everything: these tests load nothing.
#[derive(Debug)]
pub(crate) struct NoCodeMemory;

impl CodeMemory for NoCodeMemory {
    fn page_bytes(&self) -> usize {
        4096
    }
    fn place(&mut self, _: &Plan<'_>) -> Result<u64, MemoryError> {
        unreachable!("these tests load nothing")
    }
    fn writable(&mut self, _: usize, _: usize) -> Result<&mut [u8], MemoryError> {
        unreachable!("these tests load nothing")
    }
    fn seal(&mut self, _: &Plan<'_>) -> Result<(), MemoryError> {
        unreachable!("these tests load nothing")
    }
    fn release(&mut self) {}
}

impl SymbolResolver for TestPlatform {
    fn resolve(&self, _import: &Import<'_>) -> Option<u64> {
        None
    }
}

impl Platform for TestPlatform {
    type CodeMemory = NoCodeMemory;

    fn ticks(&self) -> u64 {
        self.clock.fetch_add(self.tick, Ordering::Relaxed)
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000
    }
    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock> {
        Some(RegisterBlock(u64::from(physical_core) + 1))
    }
    fn read_register(&self, block: RegisterBlock, offset: usize) -> u32 {
        assert_eq!(offset, A2a3::COND);
        self.cores.borrow().conditions[block.0 as usize - 1]
    }
    fn write_register(&self, block: RegisterBlock, offset: usize, value: u32) {
        assert_eq!(offset, A2a3::DATA_MAIN_BASE);
        let worker = block.0 as usize - 1;
        let mut cores = self.cores.borrow_mut();
        if value == DispatchWord::EXIT.raw() || value == DispatchWord::IDLE.raw() {
            return;
        }
        let id = DispatchId::new(value).expect("a dispatch id");
        assert!(
            cores.dispatched.iter().all(|dispatched| dispatched.worker != worker),
            "core {worker} was given a second sub-task"
        );
        cores.conditions[worker] = ConditionWord::ack(id).raw();
        cores.dispatched.push(Dispatched { worker, id });
        cores.most_at_once = cores.most_at_once.max(cores.dispatched.len());
    }
    fn notify_core(&self, _worker: usize) {}
    fn relax(&self, _rounds: u32) {
        self.run_one_core();
    }
    fn invalidate_cache(&self, _address: u64, _bytes: usize) {
        self.invalidations.fetch_add(1, Ordering::Relaxed);
    }
    fn clean_cache(&self, _address: u64, _bytes: usize) {}
    fn code_memory(&self, _id: CallableId) -> &Mutex<NoCodeMemory> {
        unreachable!("these tests load nothing")
    }
    fn symbols(&self) -> &dyn SymbolResolver {
        self
    }
    fn register_unwind(&self, _tables: UnwindTables) {}
    fn deregister_unwind(&self, _tables: UnwindTables) {}
    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        // SAFETY: the caller's promise.
        Ok(unsafe { call.invoke() })
    }
}

/// Output memory up to which a machine has it; beyond, it has the address space only.
const HEAP_BYTES_BACKED: u64 = 1 << 24;

/// Where output memory lies that nobody may touch.
const UNBACKED_HEAP: u64 = 1 << 44;

/// Sizes of a machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) window: u64,
    pub(crate) heap_bytes: u64,
    /// 0: the default.
    pub(crate) edges: u64,
    /// 0: the default.
    pub(crate) map_entries: u64,
    pub(crate) clusters: u16,
    pub(crate) seed: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self { window: 16, heap_bytes: 1 << 20, edges: 0, map_entries: 0, clusters: 3, seed: 1 }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) fault: Option<Fault>,
    pub(crate) tasks: u64,
    /// Most cores that had something to do at one time.
    pub(crate) most_at_once: usize,
    /// How often cache lines were invalidated.
    pub(crate) invalidations: u64,
}

impl Outcome {
    /// The code of the fault, 0 without one.
    pub(crate) fn code(&self) -> i32 {
        self.fault.as_ref().map_or(0, |fault| fault.code)
    }
}

/// The operations of one orchestration under test.
pub(crate) struct Session<'a, 'b> {
    pub(crate) orchestrator: &'a mut Orchestrator,
    pub(crate) services: &'a mut Services<'b, A2a3, TestPlatform>,
}

/// Aligned memory for a region or heap.
#[repr(C, align(1024))]
#[derive(Clone, Copy)]
struct Page([u8; 1024]);

fn memory(bytes: u64) -> Box<[Page]> {
    // Not zeroed on purpose: a region starts with anything in it.
    std::vec![Page([0xA5; 1024]); (bytes as usize).div_ceil(1024)].into_boxed_slice()
}

impl Machine {
    /// Runs `orchestration` with `kernels` (by func_id), inside the root scope, to its end.
    pub(crate) fn run(
        self,
        kernels: &[Kernel],
        orchestration: impl FnOnce(&mut Session<'_, '_>),
    ) -> Outcome {
        self.run_on(&Scheduler::default(), kernels, orchestration)
    }

    /// The same with a scheduler that has had other runs.
    pub(crate) fn run_on(
        self,
        scheduler: &Scheduler,
        kernels: &[Kernel],
        orchestration: impl FnOnce(&mut Session<'_, '_>),
    ) -> Outcome {
        let mut sizes = RegionSizes::wanted(self.window, self.edges);
        if self.map_entries != 0 {
            sizes.map_entries = self.map_entries;
        }
        let layout = RegionLayout::new(sizes).expect("valid sizes");
        let region_memory = memory(layout.total());
        let is_backed = self.heap_bytes <= HEAP_BYTES_BACKED;
        let heap_memory = memory(if is_backed { self.heap_bytes * 4 } else { 0 });
        // SAFETY: the memory outlives everything below that uses the region.
        let region =
            unsafe { Region::at(region_memory.as_ptr().expose_provenance() as u64, &layout) }
                .expect("aligned memory");
        region.clean();
        let records: Vec<CoreCallable> = kernels.iter().map(kernel_record).collect();
        let table = kernel_table(&records);
        let payloads: Box<Payloads> = zeroed();
        let waiting: Box<WaitingLists> = zeroed();
        let clusters = self.clusters();
        prepare_payloads(&payloads, &clusters);
        let platform = self.platform(&raw const *payloads);
        let faults = FaultLatch::new();
        scheduler.start();
        let partitions: Box<Partitions<A2a3>> = zeroed();
        // SAFETY: this is the run's only thread.
        unsafe { partitions.form(&clusters, 1, |_| DispatchId::FIRST) };
        let sizes =
            RingSizes { window: self.window, heap_bytes: self.heap_bytes, edges: sizes.edges };
        let heap = match is_backed {
            true => heap_memory.as_ptr().expose_provenance() as u64,
            false => UNBACKED_HEAP,
        };
        let mut orchestrator = Orchestrator::new(region, sizes, heap);
        let mut services = Services {
            platform: &platform,
            faults: &faults,
            scheduler,
            payloads: &payloads,
            waiting: &waiting,
            kernels: &table,
            driver: Driver::new(&partitions, 0),
            stall_us: 1_000_000,
            cluster_count: u32::from(self.clusters),
        };
        let _root = orchestrator.scope_begin(&services, protocol::ScopeMode::Auto);
        orchestration(&mut Session { orchestrator: &mut orchestrator, services: &mut services });
        let _latched = orchestrator.scope_end(&services);
        let tasks = orchestrator.tasks();
        if !faults.is_raised() {
            scheduler.set_total(tasks);
            let end = services.work_until(&region, || scheduler.is_finished().then_some(()));
            assert_ne!(
                end,
                Err(WaitEnd::TimedOut),
                "the tasks come to an end: {:?}",
                scheduler.deferred.sum()
            );
            assert!(end.is_err() || partitions.are_idle(), "no core and no list has anything left");
            assert!(end.is_err() || orchestrator.retire_all(), "nothing is left of the run");
        }
        let most_at_once = platform.cores.borrow().most_at_once;
        let invalidations = platform.invalidations();
        Outcome { fault: faults.take(), tasks, most_at_once, invalidations }
    }

    fn platform(self, payloads: *const Payloads) -> TestPlatform {
        TestPlatform {
            cores: RefCell::new(Cores {
                conditions: std::vec![ConditionWord::IDLE.raw(); usize::from(self.clusters) * 3],
                dispatched: Vec::new(),
                random: self.seed,
                most_at_once: 0,
            }),
            payloads,
            clock: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            tick: 1,
        }
    }

    fn clusters(self) -> Vec<Cluster> {
        let core =
            |worker: u16| CoreLocation { worker, block: RegisterBlock(u64::from(worker) + 1) };
        let count = self.clusters;
        (0..count)
            .map(|cluster| {
                [core(cluster), core(count + 2 * cluster), core(count + 2 * cluster + 1)]
            })
            .collect()
    }
}

/// What the host puts into device memory for a kernel.
fn kernel_record(kernel: &Kernel) -> CoreCallable {
    CoreCallable { resolved_addr: *kernel as usize as u64, ..CoreCallable::default() }
}

/// The table of a run record with these kernels.
fn kernel_table(records: &[CoreCallable]) -> [u64; MAX_FUNC_IDS] {
    let mut table = [0; MAX_FUNC_IDS];
    for (address, record) in table.iter_mut().zip(records) {
        *address = core::ptr::from_ref(record).expose_provenance() as u64;
    }
    table
}

/// A value of zeroes on the heap, too large for a stack.
pub(crate) fn zeroed<T>() -> Box<T> {
    // SAFETY: for types that say that zeroes are a value.
    unsafe { Box::new_zeroed().assume_init() }
}

fn prepare_payloads(payloads: &Payloads, clusters: &[Cluster]) {
    for cluster in clusters {
        for (core, sub_block) in cluster.iter().zip([0, 0, 1]) {
            // SAFETY: nobody uses the payloads yet.
            unsafe { payloads.prepare(usize::from(core.worker), sub_block) };
        }
    }
}
