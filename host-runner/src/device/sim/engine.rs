//! Executor and cores of a simulated device, joined.
//!
//! The executor drives the cores through its platform; the other way round, a core whose kernel
//! throws reports to the executor. Both directions meet here.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aicpu_executor::Fault;
use protocol::{Chip, CoreCallable, FuncId, RuntimeBody, RuntimeRecord, StatusCode};

use super::core::{CoreFault, FaultReceiver};
use super::core_pool::CorePool;
use super::load_trace;
use super::memory::Ledger;
use super::platform::SimPlatform;
use super::resident_executor::ResidentExecutor;
pub use super::resident_executor::SimExecutor;
use crate::device::DeviceError;
use crate::device::ThrowTrace;

/// Executor and cores.
pub struct Engine<C: Chip> {
    executor: ResidentExecutor<C>,
    pool: Arc<CorePool<C>>,
    /// The run record of the run in flight, to find func ids by; null between runs.
    record: RecordOfRun<C::Runtime>,
    /// What came of the last load.
    load_fault: Mutex<Option<(Fault, Option<ThrowTrace>)>>,
}

/// Written by the caller of a run, and seldom read: on cache lines that the threads of the run do not need.
#[repr(align(128))]
struct RecordOfRun<R>(AtomicPtr<R>);

impl<C: Chip> Engine<C> {
    /// Starts the cores and makes an executor for them, whose code goes into the books. With a seed,
    /// they take turns in runs.
    ///
    /// # Errors
    ///
    /// [`DeviceError::System`] where the system refuses a thread, and [`DeviceError::Memory`] where
    /// there is no memory for the executor.
    pub fn start(
        interleaving_seed: Option<u64>,
        ledger: Arc<Ledger>,
    ) -> Result<Arc<Self>, DeviceError> {
        let pool = CorePool::<C>::start(interleaving_seed).map_err(|error| {
            let what = "threads for the simulated cores";
            DeviceError::System { what, source: error.into() }
        })?;
        let executor = ResidentExecutor::new(SimPlatform::new(Arc::clone(&pool), ledger))
            .inspect_err(|_refused| pool.stop())?;
        let record = RecordOfRun(AtomicPtr::new(core::ptr::null_mut()));
        let engine = Arc::new(Self { executor, pool, record, load_fault: Mutex::default() });
        let receiver: Arc<dyn FaultReceiver> = Arc::<Self>::clone(&engine);
        engine.pool.report_faults_to(Arc::downgrade(&receiver));
        Ok(engine)
    }

    /// The executor.
    pub fn executor(&self) -> &SimExecutor<C> {
        &self.executor
    }

    /// The cores.
    pub fn pool(&self) -> &Arc<CorePool<C>> {
        &self.pool
    }

    /// Names the run record of the run that starts, or null when it has ended.
    ///
    /// # Safety
    ///
    /// A record that is named stays valid and unchanged until another one, or none, is.
    pub unsafe fn set_record(&self, record: *const C::Runtime) {
        // ORDERING: Release pairs with the Acquire load in `func_id_of`.
        self.record.0.store(record.cast_mut(), Ordering::Release);
    }

    /// Says what came of a load; on the thread that has carried it out.
    pub fn set_load_fault(&self, fault: Option<Fault>) {
        let fault = fault.map(|fault| {
            let thrown = load_trace::of_fault(&fault);
            (fault, thrown)
        });
        *self.load_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Why the last load failed, and where it threw; the next call gives nothing. To be asked between
    /// two loads.
    pub fn take_load_fault(&self) -> Option<(Fault, Option<ThrowTrace>)> {
        self.load_fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The func id under which the run in flight has the kernel with this entry.
    pub fn func_id_of(&self, function: u64) -> Option<FuncId> {
        // ORDERING: Acquire: see `set_record`.
        let record = self.record.0.load(Ordering::Acquire);
        // SAFETY: null, or valid by the contract of `set_record`.
        let body = unsafe { record.as_ref() }?.body();
        // SAFETY: the table of a run in flight holds records of loaded kernels only.
        unsafe { find_func_id(body, function) }
    }
}

impl<C: Chip> FaultReceiver for Engine<C> {
    fn core_fault(&self, fault: CoreFault) {
        let code = StatusCode::KernelException.code();
        match fault {
            CoreFault::KernelThrew { core, function, text } => match self.func_id_of(function) {
                Some(func_id) => self.executor.report_fault(
                    code,
                    format_args!("the kernel of func_id {func_id} on core {core} threw {text}"),
                ),
                None => self
                    .executor
                    .report_fault(code, format_args!("a kernel on core {core} threw {text}")),
            },
            CoreFault::NoPayload { core } => self.executor.report_fault(
                StatusCode::HandshakeTimeout.code(),
                format_args!("core {core} got a task and was never given payload buffers"),
            ),
        }
    }
}

impl<C: Chip> core::fmt::Debug for Engine<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// The func id whose kernel has this entry.
///
/// # Safety
///
/// Every address in the table is 0 or that of a live `CoreCallable`.
unsafe fn find_func_id(body: &RuntimeBody, function: u64) -> Option<FuncId> {
    let has_entry = |&address: &u64| {
        // CAST: usize is 64 bits on the supported targets.
        let kernel = core::ptr::with_exposed_provenance::<CoreCallable>(address as usize);
        // SAFETY: the caller's promise; records are aligned to 64 and written at loading only.
        unsafe { kernel.as_ref() }.is_some_and(|kernel| kernel.resolved_addr == function)
    };
    let index = body.func_id_to_addr.iter().position(has_entry)?;
    FuncId::new(i64::try_from(index).ok()?).ok()
}
