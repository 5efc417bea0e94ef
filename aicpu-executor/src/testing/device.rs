//! A device for tests of whole runs: an executor that real threads enter, and cores that run a kernel
//! when the thread that owns them looks.
//!
//! A core that was given a kernel takes a few looks, as many as a seeded generator says; the same
//! generator has threads give up their processor between two steps. So a seed does not fix the order
//! of events, but makes it another one. Under an odd seed the cores stay up from run to run.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::boxed::Box;
use std::sync::Mutex as StdMutex;
use std::time::Instant;
use std::vec::Vec;

use protocol::{
    CallableId, Chip, ConditionWord, CoreCallable, CoreType, DispatchId, DispatchPayload,
    DispatchWord, HandshakeRecord, RecordOperation, RuntimeBody, RuntimeRecord,
};
use spin::Mutex;
use zerocopy::FromZeros;

use super::Kernel;
use crate::Executor;
use crate::fault::Fault;
use crate::loader::SymbolResolver;
use crate::orch_so_table::tests::recorder::{Memory, Recorder};
use crate::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};

/// Why locks are not poisoned.
const NO_PANIC: &str = "a test that has panicked goes no further";

/// One core.
#[derive(Debug, Default)]
struct Core {
    condition: u32,
    /// The dispatch register.
    word: u32,
    /// The dispatch it has not ended, and how many looks that takes.
    running: Option<(DispatchId, u64)>,
}

/// The machine below the executor.
pub(crate) struct Cores<C: Chip> {
    record: AtomicPtr<C::Runtime>,
    cores: Vec<StdMutex<Core>>,
    /// Which core was given which code, in some order.
    given: StdMutex<Vec<(usize, usize)>>,
    random: AtomicU64,
    /// The power cycle, where cores stay up between runs; 0 where they do not.
    power_cycle: AtomicU64,
    start: Instant,
    /// Ranges that were to be taken from memory anew, and whether cores had been told to come up by then.
    forgotten: StdMutex<Vec<(u64, usize, bool)>>,
    /// Ranges that were to be written to memory.
    cleaned: StdMutex<Vec<(u64, usize)>>,
    /// Loads orchestrations, which do nothing.
    loads: Recorder<'static>,
}

/// A kernel that does not end before its core is told to leave.
pub(crate) extern "C" fn endless(_: *const u64) {
    unreachable!("cores know it");
}

impl<C: Chip> Cores<C> {
    fn random(&self) -> u64 {
        let step = |word: u64| word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let before =
            self.random.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| Some(step(word)));
        before.unwrap_or_else(|word| word) >> 33
    }

    /// Switches all cores off, and on again.
    fn switch_on(&self) {
        for core in &self.cores {
            *core.lock().expect(NO_PANIC) = Core::default();
        }
        if self.power_cycle.load(Ordering::Relaxed) != 0 {
            self.power_cycle.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Cores whose dispatch register says that they have nothing to do: they have come up, or have
    /// left.
    fn idled(&self) -> usize {
        let is_idled =
            |core: &&StdMutex<Core>| core.lock().expect(NO_PANIC).word == DispatchWord::IDLE.raw();
        self.cores.iter().filter(is_idled).count()
    }

    /// What a core was given under an id.
    fn payload(&self, worker: usize, id: DispatchId) -> &DispatchPayload {
        // SAFETY: the record of the run that is under way.
        let record = unsafe { &*self.record.load(Ordering::Relaxed) };
        let pair = record.workers()[worker].task().load(Ordering::Relaxed);
        let pair = core::ptr::with_exposed_provenance::<DispatchPayload>(pair as usize);
        // SAFETY: the executor has put a pair there, and leaves the one of this id alone until FIN.
        unsafe { &*pair.add(id.buffer()) }
    }

    /// Runs the kernel of a core, if that has had enough looks.
    fn look(&self, worker: usize, core: &mut Core) {
        let Some((id, looks)) = core.running else { return };
        let payload = self.payload(worker, id);
        if looks > 0 || payload.function_bin_addr as usize == endless as *const () as usize {
            core.running = Some((id, looks.saturating_sub(1)));
            return;
        }
        let code = payload.function_bin_addr as usize;
        assert_ne!(code, 0, "a core was given no kernel");
        let code = core::ptr::with_exposed_provenance::<()>(code);
        // SAFETY: the device's table holds kernels only.
        let kernel = unsafe { core::mem::transmute::<*const (), Kernel>(code) };
        kernel(payload.args.as_ptr());
        core.running = None;
        core.condition = ConditionWord::fin(id).raw();
    }
}

impl<C: Chip> SymbolResolver for Cores<C> {
    fn resolve(&self, import: &crate::loader::Import<'_>) -> Option<u64> {
        self.loads.resolve(import)
    }
}

impl<C: Chip> Platform for Cores<C> {
    type CodeMemory = Memory;

    fn ticks(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000
    }
    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock> {
        Some(RegisterBlock(u64::from(physical_core) + 1))
    }
    fn read_register(&self, block: RegisterBlock, offset: usize) -> u32 {
        let worker = block.0 as usize - 1;
        let mut core = self.cores[worker].lock().expect(NO_PANIC);
        if offset == C::DATA_MAIN_BASE {
            return core.word;
        }
        assert_eq!(offset, C::COND);
        self.look(worker, &mut core);
        core.condition
    }
    fn write_register(&self, block: RegisterBlock, offset: usize, value: u32) {
        if offset != C::DATA_MAIN_BASE {
            return;
        }
        let worker = block.0 as usize - 1;
        let mut core = self.cores[worker].lock().expect(NO_PANIC);
        let last = core::mem::replace(&mut core.word, value);
        if value == DispatchWord::IDLE.raw() {
            core.condition = ConditionWord::IDLE.raw();
        } else if value == DispatchWord::EXIT.raw() {
            *core = Core { condition: ConditionWord::EXITED.raw(), word: value, running: None };
        } else {
            let id = DispatchId::new(value).expect("a dispatch id");
            assert_ne!(value, last, "core {worker} does not see that this is another dispatch");
            assert_ne!(core.condition, ConditionWord::EXITED.raw(), "core {worker} has left");
            assert!(core.running.is_none(), "core {worker} was given a second sub-task");
            let code = self.payload(worker, id).function_bin_addr as usize;
            self.given.lock().expect(NO_PANIC).push((worker, code));
            *core = Core {
                condition: ConditionWord::ack(id).raw(),
                word: value,
                running: Some((id, self.random() % 4)),
            };
        }
    }
    fn core_power_cycle(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.power_cycle.load(Ordering::Relaxed))
    }
    fn notify_core(&self, _: usize) {}
    fn relax(&self, _: u32) {
        std::thread::yield_now();
    }
    fn interleave(&self) {
        if self.random().is_multiple_of(16) {
            std::thread::yield_now();
        }
    }
    fn invalidate_cache(&self, address: u64, bytes: usize) {
        let record = self.record.load(Ordering::Relaxed);
        // SAFETY: null, or the record of the run that is under way.
        let core = unsafe { record.as_ref() }.and_then(|record| record.workers().first());
        let told = core.is_some_and(|core| core.aicpu_ready().load(Ordering::Relaxed) != 0);
        self.forgotten.lock().expect(NO_PANIC).push((address, bytes, told));
    }
    fn clean_cache(&self, address: u64, bytes: usize) {
        self.cleaned.lock().expect(NO_PANIC).push((address, bytes));
    }
    fn code_memory(&self, id: CallableId) -> &Mutex<Memory> {
        self.loads.code_memory(id)
    }
    fn symbols(&self) -> &dyn SymbolResolver {
        self
    }
    fn register_unwind(&self, tables: UnwindTables) {
        self.loads.register_unwind(tables);
    }
    fn deregister_unwind(&self, tables: UnwindTables) {
        self.loads.deregister_unwind(tables);
    }
    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        // SAFETY: the caller's promise.
        unsafe { self.loads.call_foreign(call) }
    }
}

/// An executor with its cores.
pub(crate) struct Device<C: Chip> {
    pub(crate) executor: Box<Executor<C, Cores<C>>>,
    record: Box<C::Runtime>,
    clusters: usize,
    run_number: u32,
    /// Whether the last run has.
    has_failed: bool,
    /// The kernels' records, by func_id.
    kernels: Vec<CoreCallable>,
}

impl<C: Chip> Device<C> {
    /// A device of so many clusters, with kernels by func_id.
    pub(crate) fn new(clusters: usize, kernels: &[Kernel], seed: u64) -> Self {
        let core = || StdMutex::new(Core::default());
        let cores = Cores {
            record: AtomicPtr::default(),
            cores: (0..clusters * 3).map(|_| core()).collect(),
            given: StdMutex::default(),
            random: AtomicU64::new(seed),
            power_cycle: AtomicU64::new(seed % 2),
            start: Instant::now(),
            forgotten: StdMutex::default(),
            cleaned: StdMutex::default(),
            loads: Recorder::with_behaviour(|_| Ok(0)),
        };
        let mut place = Box::<Executor<C, Cores<C>>>::new_zeroed();
        // SAFETY: the box is zeroed memory for one executor.
        unsafe { Executor::init_in_place(place.as_mut_ptr(), cores) };
        // SAFETY: it has been initialised.
        let executor = unsafe { place.assume_init() };
        let record = Box::new(C::Runtime::new_zeroed());
        let kernels = kernels.iter().map(super::kernel_record).collect();
        Self { executor, record, clusters, run_number: 0, has_failed: false, kernels }
    }

    /// Executes a record with so many threads: as a test wants it, and cores and kernels as they are.
    pub(crate) fn execute(
        &mut self,
        operation: RecordOperation,
        threads: usize,
        fill: impl FnOnce(&mut RuntimeBody),
    ) -> i32 {
        self.run_number += 1;
        let body = self.record.body_mut();
        *body = RuntimeBody::default();
        body.sche_cpu_num = threads as i32;
        body.worker_count = self.clusters as i32 * 3;
        for (address, kernel) in body.func_id_to_addr.iter_mut().zip(&self.kernels) {
            *address = core::ptr::from_ref(kernel).expose_provenance() as u64;
        }
        body.extension.stall_timeout_us = 30_000_000;
        fill(body);
        body.extension.operation = operation.raw();
        body.extension.run_number = self.run_number;
        body.extension = body.extension.sealed();
        let platform = self.executor.platform();
        if platform.core_power_cycle().is_none() || self.has_failed {
            platform.switch_on();
        }
        for (worker, core) in self.record.workers().iter().take(self.clusters * 3).enumerate() {
            let core_type = if worker < self.clusters { CoreType::Aic } else { CoreType::Aiv };
            core.aicpu_ready().store(0, Ordering::Relaxed);
            core.core_type().store(core_type.raw(), Ordering::Relaxed);
            core.physical_core_id().store(worker as u32, Ordering::Relaxed);
            core.aicore_regs_ready().store(1, Ordering::Relaxed);
            core.aicore_done().store(1, Ordering::Relaxed);
        }
        platform.record.store(&raw mut *self.record, Ordering::Relaxed);
        let (executor, record) = (&*self.executor, &*self.record);
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let enter = |_| scope.spawn(|| executor.execute(record));
            let entered: Vec<_> = (0..threads).map(enter).collect();
            entered.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        // A thread that comes when the run is over is sent away with 0.
        let code = codes.iter().copied().min().expect("a thread");
        let agree = codes.iter().all(|each| [code, 0].contains(each));
        assert!(agree, "all threads agree: {codes:?}");
        self.has_failed = code != 0;
        code
    }

    /// Clusters of the device; its first cores are cube cores, one for each.
    pub(crate) fn clusters(&self) -> usize {
        self.clusters
    }

    /// Cores whose dispatch register says that they have nothing to do: they have come up, or have
    /// left.
    pub(crate) fn idled(&self) -> usize {
        self.executor.platform().idled()
    }

    /// The fault of the last run.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.executor.take_fault()
    }

    /// For each time that memory at an address was to be taken anew, since the last call of this: whether cores had
    /// been told to come up by then.
    pub(crate) fn forgotten(&self, address: u64, bytes: usize) -> Vec<bool> {
        let all = core::mem::take(&mut *self.executor.platform().forgotten.lock().expect(NO_PANIC));
        let end = address + bytes as u64;
        let covers = |&(start, length, told): &(u64, usize, bool)| {
            (start <= address && end <= start + length as u64).then_some(told)
        };
        all.iter().filter_map(covers).collect()
    }

    /// Whether memory at an address was to be written, since the last call of this.
    pub(crate) fn has_cleaned(&self, address: u64, bytes: usize) -> bool {
        let all = core::mem::take(&mut *self.executor.platform().cleaned.lock().expect(NO_PANIC));
        let end = address + bytes as u64;
        all.iter().any(|&(start, length)| start <= address && end <= start + length as u64)
    }

    /// The record that is executed.
    pub(crate) fn record(&self) -> &C::Runtime {
        &self.record
    }

    /// The kernels' records, by func_id.
    pub(crate) fn kernels(&self) -> &[CoreCallable] {
        &self.kernels
    }

    /// Which core was given which func_id since the last call of this.
    pub(crate) fn given(&self) -> Vec<(usize, usize)> {
        let given = core::mem::take(&mut *self.executor.platform().given.lock().expect(NO_PANIC));
        let func_id = |code| {
            let is_it = |kernel: &CoreCallable| kernel.resolved_addr as usize == code;
            self.kernels.iter().position(is_it).expect("code of a kernel")
        };
        given.into_iter().map(|(worker, code)| (worker, func_id(code))).collect()
    }
}
