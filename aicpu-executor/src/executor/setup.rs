//! Setting a run up: what the first thread does before the others may enter.

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use protocol::{
    Chip, CoreCallable, HEAP_ALIGN, HEAP_BYTES_DEFAULT, RING_COUNT, RecordOperation, RuntimeBody,
    RuntimeExtension, RuntimeRecord, SharedMemoryHeader, StatusCode,
};

use super::Executor;
use super::cores::CoresOfRun;
use crate::graph::OpenGraph;
use crate::orchestrator::task_rings::RingSizes;
use crate::platform::Platform;
use crate::region::{HeaderFacts, Region, RegionLayout, RegionSizes, SHAPE_COUNT, write_refusal};

/// Longest time without progress unless the host says otherwise. TIMEOUT: far above any kernel or
/// graph-building pause that is meant; a run that needs more says so.
const STALL_US_DEFAULT: u64 = 60_000_000;

/// What a run works with; the same for all its threads.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) work: Work,
    pub(super) cores: CoresOfRun,
    pub(super) stall_us: u64,
    /// What the header says of callable ids.
    pub(super) callable_ids_word: u64,
}

/// Where the tasks of a run are.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, in place, and nowhere to put a box")]
pub(super) enum Work {
    /// In the rings, where an orchestration puts them.
    Rings(Rings),
    /// In a graph that the host has built.
    Graph(OpenGraph),
}

/// What an orchestration fills.
#[derive(Debug)]
pub(super) struct Rings {
    /// `'static` stands for the time in which a record names it.
    pub(super) region: Region<'static>,
    pub(super) layout: RegionLayout,
    pub(super) sizes: RingSizes,
    /// Where the memory of outputs is.
    pub(super) heap: u64,
    /// Generation of the callable, from a host that has generations.
    pub(super) callable_generation: Option<u32>,
    /// Name of the region for `LeftClean`, if the host keeps regions across runs.
    pub(super) identity: Option<RegionIdentity>,
    /// Whether the last run had the same rings, and has succeeded.
    pub(super) are_kept: bool,
    /// Whether the last run has left it clean, the header included.
    is_clean: bool,
}

impl Setup {
    /// With this work, and nothing else so far.
    fn of(work: Work) -> Self {
        Self { work, cores: CoresOfRun::default(), stall_us: 0, callable_ids_word: 0 }
    }

    /// The rings, of a run that has them.
    fn rings(&mut self) -> Option<&mut Rings> {
        match &mut self.work {
            Work::Rings(rings) => Some(rings),
            Work::Graph(_) => None,
        }
    }
}

impl Work {
    /// Whether the header says what it says of a run that has begun, from a run that has succeeded.
    fn has_clean_header(&self) -> bool {
        match self {
            Self::Rings(rings) => rings.is_clean,
            Self::Graph(_) => false,
        }
    }

    /// Writes the header that a host may read. Called by one thread, before the run and after it.
    pub(super) fn write_header(&self, facts: HeaderFacts) {
        match self {
            Self::Rings(rings) => rings.region.write_header(&rings.layout, facts),
            Self::Graph(open) => open.write_header(facts),
        }
    }

    /// Where that header is.
    pub(super) fn header_address(&self) -> u64 {
        match self {
            Self::Rings(rings) => rings.region.header_address(),
            Self::Graph(open) => open.header_address(),
        }
    }
}

/// One state of one region: the host counts the generation up whenever it touches the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegionIdentity {
    pub(super) address: u64,
    /// Task window and dependency pool as the host asks for them.
    pub(super) wanted: (u64, u64),
    pub(super) generation: u32,
}

impl RegionIdentity {
    /// Of the region that a record names.
    fn of(body: &RuntimeBody, extension: &RuntimeExtension) -> Self {
        Self {
            address: body.gm_sm_ptr.raw(),
            wanted: (body.task_window_size, body.dep_pool_size),
            generation: extension.region_generation,
        }
    }
}

/// What earlier runs left clean.
#[derive(Debug, Default)]
pub(super) struct LeftClean {
    /// The region of the last run of rings, if that has succeeded.
    pub(super) region: Option<CleanRegion>,
    /// Whether neither a core nor a deferred sub-task has left anything behind, in ingresses,
    /// waiting lists or reports: the last run has succeeded.
    pub(super) cores: bool,
}

/// A region that was left clean.
#[derive(Debug, Clone, Copy)]
pub(super) struct CleanRegion {
    pub(super) identity: RegionIdentity,
    /// Where the ready queues were then.
    pub(super) queue_positions: [u64; SHAPE_COUNT],
    /// In which run: in the next one, the queues are where they were.
    pub(super) run: u64,
}

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Prepares the run: tasks, ready queues, cores. Faults go to the latch.
    pub(super) fn set_up(
        &self,
        runtime: &C::Runtime,
        extension: Option<&RuntimeExtension>,
        operation: RecordOperation,
    ) {
        // A fault of a run that nobody asked about must not end this one.
        self.discard_report();
        self.scheduler.start();
        // SAFETY: this thread is alone in the run until the gate opens.
        unsafe { self.clean_after_failure() };
        let body = runtime.body();
        if P::HOST_WRITES_PAST_CACHES && extension.is_some() {
            self.forget_kernel_lines(body);
        }
        let is_open = match operation {
            RecordOperation::RunGraph => {
                // SAFETY: this thread is alone in the run until the gate opens.
                let place = unsafe { &mut *self.setup.get() };
                *place = self.open_graph(body).map(|open| Setup::of(Work::Graph(open)));
                place.is_some()
            }
            _ => self.open_rings(body, extension),
        };
        // SAFETY: this thread is alone in the run until the gate opens.
        let Some(setup) = (unsafe { (*self.setup.get()).as_mut() }).filter(|_| is_open) else {
            return;
        };
        setup.stall_us = or_default(
            extension.map_or(0, |extension| extension.stall_timeout_us),
            STALL_US_DEFAULT,
        );
        if !setup.work.has_clean_header() {
            // A reference host finds in its padding what it has always found there.
            setup.callable_ids_word = extension.map_or(0, |_| {
                // CAST: at most `EXTENDED_CALLABLE_IDS`.
                protocol::callable_ids_word(self.callable_capacity() as u32)
            });
            let callable_ids_word = setup.callable_ids_word;
            setup.work.write_header(HeaderFacts { callable_ids_word, ..HeaderFacts::default() });
        }
        let workers = usize::try_from(body.worker_count).unwrap_or(0);
        match runtime.workers().get(..workers).filter(|workers| !workers.is_empty()) {
            Some(workers) => {
                // SAFETY: as above.
                setup.cores = unsafe { self.ready_cores(workers) };
            }
            None => {
                setup.cores = CoresOfRun::default();
                self.faults.report(
                    StatusCode::TooManyCores.code(),
                    format_args!(
                        "a run on {} cores; {} has 3 to {}",
                        body.worker_count,
                        C::NAME,
                        C::MAX_CORES
                    ),
                );
            }
        }
    }

    /// Has the next look at the records of kernels find what is in memory: the host may have written them where this
    /// processor has looked before. Only with a host whose table has no kernels but those that are there.
    fn forget_kernel_lines(&self, body: &RuntimeBody) {
        for record in body.func_id_to_addr.iter().filter(|record| **record != 0) {
            let address = record.wrapping_add(offset_of!(CoreCallable, resolved_addr) as u64);
            self.platform.invalidate_cache(address, size_of::<u64>());
        }
    }

    /// Forgets what the last run did, and its fault, if nobody has asked.
    fn discard_report(&self) {
        // ORDERING: Relaxed (both): this thread is alone in the run that begins.
        self.tasks.store(0, Ordering::Relaxed);
        self.loaded.store(false, Ordering::Relaxed);
        if self.faults.is_raised() {
            let _stale = self.faults.take();
        }
    }

    /// Clears what a run that failed has left: in ingresses and waiting lists. Until this
    /// run has succeeded, it counts as one that failed.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run.
    unsafe fn clean_after_failure(&self) {
        // SAFETY: by the contract.
        let left_clean = unsafe { &mut *self.left_clean.get() };
        if core::mem::take(&mut left_clean.cores) {
            return;
        }
        // SAFETY: (both) by the contract; after a failure, no core is up.
        unsafe {
            self.waiting.clear();
            self.payloads.ingresses.clear_all(&self.platform);
        }
    }

    /// Opens the region of a run that has an orchestration, and cleans it unless the last such run has
    /// left it clean. Returns whether it is open, as the setup of the run.
    fn open_rings(&self, body: &RuntimeBody, extension: Option<&RuntimeExtension>) -> bool {
        // SAFETY: (both) this thread is alone in the run until the gate opens.
        let (place, left_clean) = unsafe { (&mut *self.setup.get(), &mut *self.left_clean.get()) };
        // Whatever happens from here on, the region counts as dirty until a run has succeeded.
        let clean = left_clean.region.take();
        let named = extension.map(|extension| RegionIdentity::of(body, extension));
        let last = place.as_mut().and_then(Setup::rings).filter(|rings| {
            let heap = (rings.heap, rings.sizes.heap_bytes);
            let named_heap = (body.gm_heap_ptr.raw(), heap_bytes(body));
            named.is_some() && rings.identity == named && heap == named_heap
        });
        let rings = match last {
            Some(rings) => {
                rings.are_kept = true;
                rings
            }
            None => {
                *place = None;
                let Some(rings) = self.find_region(body, extension, named) else {
                    let header = body.gm_sm_ptr.raw();
                    // SAFETY: the host's pointer, and this thread is alone in the run.
                    if unsafe { write_refusal(header, self.faults.code()) } {
                        self.platform.clean_cache(header, size_of::<SharedMemoryHeader>());
                    }
                    return false;
                };
                let Some(rings) = place.insert(Setup::of(Work::Rings(rings))).rings() else {
                    return false;
                };
                rings
            }
        };
        rings.callable_generation = extension.map(|extension| extension.callable_generation);
        rings.is_clean = clean.is_some_and(|CleanRegion { identity, queue_positions, run }| {
            let is_next = || self.scheduler.run() == run.wrapping_add(1);
            let left_at = &queue_positions;
            Some(identity) == rings.identity
                && (is_next() || !self.scheduler.have_come_round(left_at, &rings.region))
        });
        if !rings.is_clean {
            rings.region.clean();
        }
        true
    }

    /// Looks at the memory that the host hands over.
    fn find_region(
        &self,
        body: &RuntimeBody,
        extension: Option<&RuntimeExtension>,
        identity: Option<RegionIdentity>,
    ) -> Option<Rings> {
        let heap_bytes = heap_bytes(body);
        let refuse = |text: core::fmt::Arguments<'_>| {
            self.faults.report(StatusCode::RegionTooSmall.code(), text);
        };
        let mut sizes = RegionSizes::wanted(body.task_window_size, body.dep_pool_size);
        if extension.is_none() {
            sizes = sizes.within_reference();
        }
        let Some(layout) = RegionLayout::new(sizes) else {
            refuse(format_args!(
                "a task window of {} with {} edges; the window must be a power of two from 4 to \
                 2^26, the edges less than 2^30 - 1",
                sizes.window, sizes.edges
            ));
            return None;
        };
        let address = body.gm_sm_ptr.raw();
        let heap = body.gm_heap_ptr.raw();
        let heap_fits =
            heap_bytes.checked_mul(RING_COUNT as u64).and_then(|bytes| heap.checked_add(bytes));
        // Outputs are filled by words, so every ring's memory must start at one.
        let aligned = heap.is_multiple_of(HEAP_ALIGN) && heap_bytes.is_multiple_of(HEAP_ALIGN);
        if heap == 0 || !aligned || heap_fits.is_none() {
            refuse(format_args!("output memory of {heap_bytes} bytes a ring at {heap:#x}"));
            return None;
        }
        // SAFETY: the host hands over a region for this window, for the executor alone until the
        // run has ended; `'static` stands for that time, and `Setup` is dropped at its end.
        let Some(region) = (unsafe { Region::at(address, &layout) }) else {
            refuse(format_args!("shared memory at {address:#x}, which is null or misaligned"));
            return None;
        };
        Some(Rings {
            region,
            layout,
            sizes: RingSizes { window: sizes.window, heap_bytes, edges: sizes.edges },
            heap,
            callable_generation: None,
            identity,
            are_kept: false,
            is_clean: false,
        })
    }
}

/// Bytes of output memory that each ring has.
fn heap_bytes(body: &RuntimeBody) -> u64 {
    or_default(body.heap_size, HEAP_BYTES_DEFAULT)
}

/// A setting, or what stands for 0.
fn or_default(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}
