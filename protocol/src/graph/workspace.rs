//! What the AICPU counts in while a graph runs: device memory that the host allocates and never writes.
//!
//! ```text
//! 0      SharedMemoryHeader: where a host reads the codes of a run that failed
//! 832    WorkspaceState
//! 896    u32 × tasks: predecessors that are not complete, and a mark in the uppermost bit
//! …      u64 × ready capacity × 2: the cells of the two ready queues, cube first
//! ```

use crate::layout::check_layout;
use crate::shared_memory::SharedMemoryHeader;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Shapes that tasks of a graph have: cube and vector (spec hbg A4: no tasks of several lanes).
pub const GRAPH_SHAPES: usize = 2;

/// A cache line: parts that different threads write begin at one.
const LINE: u64 = 64;

/// What a workspace is ready for. Zero when it is new, as all device memory.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct WorkspaceState {
    /// Number of the image whose counts are in place, as a run that succeeded leaves them; 0 for none.
    pub ready_for: u64,
    /// Runs of that image that have succeeded. Counts are marked in turns, by whether it is odd.
    pub runs: u64,
    /// Where the executor's ready queues were when it last left the cells, cube first.
    pub queue_positions: [u64; GRAPH_SHAPES],
    /// Written as zero.
    pub reserved: [u64; 4],
}

check_layout!(WorkspaceState, size 64, align 8 {
    ready_for @ 0, runs @ 8, queue_positions @ 16, reserved @ 32,
});

/// Where the parts of a workspace are, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceLayout {
    /// The state.
    pub state: u64,
    /// The counts.
    pub pending: u64,
    /// The cells of the ready queues, one after the other.
    pub ready_cells: [u64; GRAPH_SHAPES],
    /// Cells of one queue: a power of two, at least as many as there are tasks.
    pub ready_capacity: u64,
    /// Bytes of the whole.
    pub total: u64,
}

impl WorkspaceLayout {
    /// The workspace of a graph with this many tasks.
    pub const fn of(task_count: u32) -> Self {
        let state = (size_of::<SharedMemoryHeader>() as u64).next_multiple_of(LINE);
        let pending = state + size_of::<WorkspaceState>() as u64;
        let counts = task_count as u64 * size_of::<u32>() as u64;
        let first = pending + counts.next_multiple_of(LINE);
        let ready_capacity = (task_count as u64).next_power_of_two();
        let cells = (ready_capacity * size_of::<u64>() as u64).next_multiple_of(LINE);
        Self {
            state,
            pending,
            ready_cells: [first, first + cells],
            ready_capacity,
            total: first + cells * GRAPH_SHAPES as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_begin_at_cache_lines() {
        for tasks in [1, 2, 3, 16, 17, 100_000, 1 << 24] {
            let layout = WorkspaceLayout::of(tasks);
            let WorkspaceLayout { state, pending, ready_cells, ready_capacity, total } = layout;
            assert!(ready_capacity >= u64::from(tasks) && ready_capacity.is_power_of_two());
            let starts = [state, pending, ready_cells[0], ready_cells[1], total];
            assert!(starts.iter().all(|start| start % 64 == 0), "{layout:?}");
            assert!(state >= 832 && pending == state + 64);
            assert!(ready_cells[0] >= pending + 4 * u64::from(tasks));
            assert!(ready_cells[1] >= ready_cells[0] + 8 * ready_capacity);
            assert!(total >= ready_cells[1] + 8 * ready_capacity);
        }
    }
}
