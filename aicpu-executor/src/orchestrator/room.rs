//! Making room: what the orchestrator does when a ring is full.
//!
//! It retires what can be retired, and waits for more as long as tasks run. Some waits can never
//! end, since only the orchestrator itself could end them (it is inside an open scope that holds
//! all slots); that is proved (`TaskRings::is_stuck`) and reported at once, with the sizes that
//! would do. The codes are the reference's (spec trb §12).

use protocol::{Chip, MAX_TENSOR_ARGS, RING_COUNT, StatusCode};

use super::task_rings::{Shortage, TakenSlot};
use super::{Fatal, Orchestrator, Services};
use crate::platform::Platform;
use crate::region::{Edge, EdgeHandle, window_for_entries};
use crate::wait::WaitEnd;

/// How a wait for room ended.
enum Room {
    /// Something was retired: try again.
    Made,
    /// Nothing ever will be.
    Never,
}

/// Slots that are enough to go on with.
const EASED_SLOTS: u32 = 128;

/// Polls without any slot after which a ring takes more slots into use: some microseconds.
const EASING_POLLS: u32 = 64;

impl Orchestrator {
    /// Takes a slot with `bytes` of output memory, waiting for it if need be.
    #[inline(always)]
    pub(super) fn take_slot<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        ring: u8,
        bytes: u64,
    ) -> Result<TakenSlot<'static>, Fatal> {
        services.platform.interleave();
        loop {
            if let Some(taken) = self.rings.take_at_once(&self.region, ring, bytes) {
                return Ok(taken);
            }
            self.find_slot(services, ring, bytes)?;
        }
    }

    /// Finds a slot when there is none at once.
    #[cold]
    fn find_slot<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        ring: u8,
        bytes: u64,
    ) -> Result<(), Fatal> {
        self.rings.retire(&self.region, &mut self.map, ring);
        loop {
            match self.rings.find_room(ring, bytes) {
                Ok(()) => return Ok(()),
                Err(Shortage::TaskSlot) if self.rings.can_widen(ring) => {
                    self.ease(services, ring)?;
                }
                Err(Shortage::Heap) if bytes > self.rings.sizes().heap_bytes => {
                    return Err(self.never(services, ring, Shortage::Heap, bytes));
                }
                Err(shortage) => self.make_room(services, ring, shortage, bytes)?,
            }
        }
    }

    /// Waits for a moment until some of the slots that a ring has in use are free; if that does not
    /// help, the ring takes more into use.
    ///
    /// So an orchestration that is faster than the cores stays as far ahead of them as is good for the
    /// caches, and farther only if something would otherwise stand still: an open scope or a long
    /// kernel holds the ring's oldest task.
    #[cold]
    fn ease<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        ring: u8,
    ) -> Result<(), Fatal> {
        let (region, submission) = (self.region, self.submission);
        let (task_rings, map) = (&mut self.rings, &mut self.map);
        let (mut idle, mut retired) = (0, 0);
        let end = services.work_until(&region, || {
            let now = task_rings.retire(&region, map, ring);
            retired += now;
            idle = if now > 0 { 0 } else { idle + 1 };
            let is_over = retired >= EASED_SLOTS
                || idle > EASING_POLLS
                || task_rings.is_stuck(&region, ring, submission);
            is_over.then_some(())
        });
        match end {
            Ok(()) => {}
            Err(WaitEnd::Aborted) => return Err(Fatal),
            Err(WaitEnd::TimedOut) => {
                return Err(self.no_progress(services, ring, Shortage::TaskSlot));
            }
        }
        if retired == 0 {
            self.rings.widen(ring);
        }
        Ok(())
    }

    /// Takes an edge, waiting for it if need be.
    #[cold]
    pub(super) fn take_edge<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        ring: u8,
    ) -> Result<(EdgeHandle, &'static Edge), Fatal> {
        loop {
            match self.rings.take_edge(&self.region, ring) {
                Ok(taken) => return Ok(taken),
                Err(shortage) => self.make_room(services, ring, shortage, 1)?,
            }
        }
    }

    /// Waits until something of `ring` was retired; for a map entry, of any ring.
    #[cold]
    pub(super) fn make_room<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        ring: u8,
        shortage: Shortage,
        want: u64,
    ) -> Result<(), Fatal> {
        let rings =
            if shortage == Shortage::MapEntry { 0..RING_COUNT as u8 } else { ring..ring + 1 };
        let (platform, region, submission) = (services.platform, self.region, self.submission);
        let (task_rings, map) = (&mut self.rings, &mut self.map);
        let end = services.work_until(&region, || {
            let retired: u32 =
                rings.clone().map(|ring| task_rings.retire(&region, map, ring)).sum();
            if retired > 0 {
                return Some(Room::Made);
            }
            platform.interleave();
            let stuck = rings.clone().all(|ring| task_rings.is_stuck(&region, ring, submission));
            stuck.then_some(Room::Never)
        });
        match end {
            Ok(Room::Made) => Ok(()),
            Ok(Room::Never) => Err(self.never(services, ring, shortage, want)),
            Err(WaitEnd::Aborted) => Err(Fatal),
            Err(WaitEnd::TimedOut) => Err(self.no_progress(services, ring, shortage)),
        }
    }

    /// Reports a shortage that cannot end, with a size that would do for what is being submitted;
    /// what a scope would still submit cannot be known.
    fn never<C: Chip, P: Platform>(
        &self,
        services: &Services<'_, C, P>,
        ring: u8,
        shortage: Shortage,
        want: u64,
    ) -> Fatal {
        let sizes = self.rings.sizes();
        let (depth, here) = (self.scopes.depth(), self.scopes.tasks_here());
        let place = format_args!("the scope at depth {depth} holds {here} tasks");
        match shortage {
            Shortage::TaskSlot => services.fatal(
                StatusCode::ScopeDeadlock,
                format_args!(
                    "ring {ring}: open scopes hold all {} task slots ({place}), so no slot can \
                     become free. Close a scope earlier, or set PTO2_RING_TASK_WINDOW to {} or \
                     more (now {})",
                    sizes.window - 1,
                    sizes.window * 2,
                    sizes.window
                ),
            ),
            Shortage::Heap if want > sizes.heap_bytes => services.fatal(
                StatusCode::HeapRingDeadlock,
                format_args!(
                    "ring {ring}: a task wants {want} bytes of output memory at once ({place}), but \
                     the whole ring has {}. Give it smaller outputs, or set PTO2_RING_HEAP to {} \
                     or more",
                    sizes.heap_bytes,
                    self.rings.sufficient_heap(ring, want).unwrap_or(u64::MAX)
                ),
            ),
            Shortage::Heap => services.fatal(
                StatusCode::HeapRingDeadlock,
                format_args!(
                    "ring {ring}: {want} bytes of output memory are wanted, {} of {} are held by \
                     tasks of open scopes ({place}). Close a scope earlier, or set \
                     PTO2_RING_HEAP to {} or more",
                    self.rings.heap_used(ring),
                    sizes.heap_bytes,
                    self.rings.sufficient_heap(ring, want).unwrap_or(u64::MAX)
                ),
            ),
            Shortage::Edge => services.fatal(
                StatusCode::DepPoolOverflow,
                format_args!(
                    "ring {ring}: all {} dependency edges are in use, and the oldest task of the \
                     ring cannot retire before an open scope closes or this task is submitted \
                     ({place}). Close a scope earlier, give the task fewer dependencies, or set \
                     PTO2_RING_DEP_POOL to {} or more",
                    sizes.edges,
                    self.rings.sufficient_edges(&self.region, ring).max(sizes.edges * 2)
                ),
            ),
            Shortage::MapEntry => services.fatal(
                StatusCode::DependencyOverflow,
                format_args!(
                    "the tensor map is full: {} written regions belong to tasks of open scopes \
                     ({place}). Close a scope earlier, or set PTO2_RING_TASK_WINDOW to {} or more",
                    self.map.live(),
                    window_for_entries(u64::from(self.map.live()) + MAX_TENSOR_ARGS as u64)
                ),
            ),
        }
    }

    /// Reports a shortage during which nothing moved for the whole stall budget.
    fn no_progress<C: Chip, P: Platform>(
        &self,
        services: &Services<'_, C, P>,
        ring: u8,
        shortage: Shortage,
    ) -> Fatal {
        let (code, what) = match shortage {
            Shortage::TaskSlot => (StatusCode::FlowControlDeadlock, "a task slot"),
            Shortage::Heap => (StatusCode::HeapRingDeadlock, "output memory"),
            Shortage::Edge => (StatusCode::DepPoolOverflow, "a dependency edge"),
            Shortage::MapEntry => (StatusCode::DependencyOverflow, "a tensor-map entry"),
        };
        services.fatal(
            code,
            format_args!(
                "ring {ring}: waited for {what}, and no task made progress for {} ms{}",
                services.stall_us / 1000,
                services.scheduler.waits_for()
            ),
        )
    }
}
