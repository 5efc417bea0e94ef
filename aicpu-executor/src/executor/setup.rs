//! Setting a run up: what the first thread does before the others may enter.

use protocol::{
    Chip, HEAP_ALIGN, HEAP_BYTES_DEFAULT, RING_COUNT, RuntimeBody, RuntimeExtension, RuntimeRecord,
    StatusCode,
};

use super::Executor;
use crate::orchestrator::task_rings::RingSizes;
use crate::platform::Platform;
use crate::region::{HeaderFacts, Region, RegionLayout, RegionSizes, SHAPE_COUNT, write_refusal};
use crate::scheduler::handshake::{Clusters, bring_up};

/// Longest time without progress unless the host says otherwise. TIMEOUT: far above any kernel or
/// graph-building pause that is meant; a run that needs more says so.
const STALL_US_DEFAULT: u64 = 60_000_000;

/// What a run works with; the same for all its threads.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) region: Region<'static>,
    pub(super) layout: RegionLayout,
    pub(super) sizes: RingSizes,
    /// The cores; empty if the cores did not come up.
    pub(super) clusters: Clusters,
    pub(super) stall_us: u64,
    /// Generation of the callable, from a host that has generations.
    pub(super) callable_generation: Option<u32>,
    /// What the header says of callable ids.
    pub(super) callable_ids_word: u64,
    /// Name of the region for `KnownRegion`, if the host keeps regions across runs.
    pub(super) identity: Option<RegionIdentity>,
}

/// One state of one region: the host counts the generation up whenever it touches the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegionIdentity {
    pub(super) address: u64,
    pub(super) layout: RegionLayout,
    pub(super) generation: u32,
}

/// The region that the last run of rings left clean, if any.
#[derive(Debug, Default)]
pub(super) struct KnownRegion(pub(super) Option<CleanRegion>);

/// A region that was left clean.
#[derive(Debug, Clone, Copy)]
pub(super) struct CleanRegion {
    pub(super) identity: RegionIdentity,
    /// Where the ready queues were then.
    pub(super) queue_positions: [u64; SHAPE_COUNT],
}

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Prepares the run: region, ready queues, cores. Faults go to the latch.
    pub(super) fn set_up(&self, runtime: &C::Runtime, extension: Option<&RuntimeExtension>) {
        // A fault of a run that nobody asked about must not end this one.
        let _stale = self.take_report();
        let body = runtime.body();
        let Some(mut setup) = self.find_region(body, extension) else {
            // SAFETY: the host's pointer, and this thread is alone in the run.
            unsafe { write_refusal(body.gm_sm_ptr.raw(), self.faults.code()) };
            return;
        };
        // SAFETY: this thread is alone in the run until the gate opens.
        let known = unsafe { &mut *self.known_region.get() };
        // Whatever happens from here on, the region counts as dirty until a run has succeeded.
        let last = known.0.take();
        let is_known = last.is_some_and(|CleanRegion { identity, queue_positions }| {
            Some(identity) == setup.identity
                && !self.scheduler.have_come_round(&queue_positions, &setup.region)
        });
        if !is_known {
            setup.region.clean();
        }
        self.scheduler.start();
        // SAFETY: as above.
        unsafe { self.waiting.clear() };
        let callable_ids_word = setup.callable_ids_word;
        let facts = HeaderFacts { callable_ids_word, ..HeaderFacts::default() };
        setup.region.write_header(&setup.layout, facts);
        let workers = usize::try_from(body.worker_count).unwrap_or(0);
        if !is_known {
            // Only a run that failed leaves anything in them.
            // SAFETY: as above, and no core is up.
            unsafe { self.payloads.ingresses.clear_all(&self.platform) };
        }
        match runtime.workers().get(..workers).filter(|workers| !workers.is_empty()) {
            Some(workers) => {
                let up = bring_up::<C, P>(&self.platform, &self.faults, &self.payloads, workers);
                setup.clusters = up.unwrap_or_default();
            }
            None => {
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
        // SAFETY: as above.
        unsafe { *self.setup.get() = Some(setup) };
    }

    /// Looks at the memory that the host hands over.
    fn find_region(
        &self,
        body: &RuntimeBody,
        extension: Option<&RuntimeExtension>,
    ) -> Option<Setup> {
        let or_default = |value: u64, default: u64| if value == 0 { default } else { value };
        let heap_bytes = or_default(body.heap_size, HEAP_BYTES_DEFAULT);
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
        let stall_us = extension.map_or(0, |extension| extension.stall_timeout_us);
        Some(Setup {
            region,
            layout,
            sizes: RingSizes { window: sizes.window, heap_bytes, edges: sizes.edges },
            clusters: Clusters::new(),
            stall_us: or_default(stall_us, STALL_US_DEFAULT),
            callable_generation: extension.map(|extension| extension.callable_generation),
            // A reference host finds in its padding what it has always found there.
            callable_ids_word: extension.map_or(0, |_| {
                // CAST: at most `EXTENDED_CALLABLE_IDS`.
                protocol::callable_ids_word(self.callable_capacity() as u32)
            }),
            identity: extension.map(|extension| RegionIdentity {
                address,
                layout,
                generation: extension.region_generation,
            }),
        })
    }
}
