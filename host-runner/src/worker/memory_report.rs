//! What is held on the device and in the queue, by whom, and the most that has been.

use protocol::CallableId;

use super::Worker;
use crate::device::memory_report::Holder;

/// What one holder has on the device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Who: `user`, `orchestrations`, `kernels`, `tensors`, `graphs`, `windows`, `run arenas`,
    /// `code`.
    pub holder: &'static str,
    /// For `tensors` and `graphs`, the id of the callable.
    pub callable_id: Option<i32>,
    /// For `tensors` and `graphs`, the name of the callable, while it is registered.
    pub callable: Option<String>,
    /// Live allocations.
    pub allocations: usize,
    /// Bytes in them, as they were asked for.
    pub bytes: usize,
    /// The most bytes that there have been at once.
    pub high_water_bytes: usize,
}

/// What submitted runs hold on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct QueueReport {
    /// Runs and calls that wait or are in progress.
    pub runs: usize,
    /// The most that there have been at once.
    pub high_water_runs: usize,
    /// Bytes of arguments that submitted runs hold; an input that several share counts for each.
    pub bytes: u64,
    /// The most that they have held at once.
    pub high_water_bytes: u64,
    /// What they may hold together.
    pub limit_bytes: u64,
}

/// What a worker holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// Bytes that are held on the device.
    pub bytes: usize,
    /// The most that have been held on this device at once.
    pub high_water_bytes: usize,
    /// Those of `bytes` that are run arenas: address space, which a simulated device backs with
    /// memory page by page where runs touch it.
    pub arena_reserved_bytes: usize,
    /// Every holder that has or had something.
    pub holders: Vec<MemoryUse>,
    /// What is held on the host for runs in flight.
    pub queue: QueueReport,
}

impl Worker {
    /// What is held on the device and for runs in flight, by whom, and the most that has been. Does
    /// not wait for runs. Nothing is held on a device that is not open.
    pub fn memory_report(&self) -> MemoryReport {
        let queue = self.shared.queue.usage();
        let queue = QueueReport {
            runs: queue.len,
            high_water_runs: queue.len_high_water,
            bytes: queue.held_bytes,
            high_water_bytes: queue.held_bytes_high_water,
            limit_bytes: queue.limit_bytes,
        };
        let Some(on) = self.shared.devices.current() else {
            return MemoryReport { queue, ..MemoryReport::default() };
        };
        let device = on.device().memory_report();
        let holders = device.holders.iter().map(|usage| {
            let (holder, id) = describe(usage.holder);
            let callable = id.and_then(|id| self.shared.registry.find(id));
            MemoryUse {
                holder,
                callable_id: id.map(CallableId::raw),
                callable: callable.map(|it| it.name().to_owned()),
                allocations: usage.allocations,
                bytes: usage.bytes,
                high_water_bytes: usage.high_water_bytes,
            }
        });
        MemoryReport {
            bytes: device.bytes,
            high_water_bytes: device.high_water_bytes,
            arena_reserved_bytes: device.arena_reserved_bytes,
            holders: holders.collect(),
            queue,
        }
    }
}

/// What a holder is called, and the callable it is for.
fn describe(holder: Holder) -> (&'static str, Option<CallableId>) {
    match holder {
        Holder::User => ("user", None),
        Holder::Orchestration => ("orchestrations", None),
        Holder::Kernel => ("kernels", None),
        Holder::Tensors(id) => ("tensors", Some(id)),
        Holder::Graphs(id) => ("graphs", Some(id)),
        Holder::Window => ("windows", None),
        Holder::RunArena => ("run arenas", None),
        Holder::Code => ("code", None),
    }
}
