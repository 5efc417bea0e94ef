//! Who holds the memory of a device, and how much of it.

use protocol::CallableId;

/// For whom device memory is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Holder {
    /// Whoever called `Worker::allocate`.
    User,
    /// Images of orchestrations, as they were uploaded; equal bytes are there once.
    Orchestration,
    /// Records of kernels, their images included; equal bytes are there once.
    Kernel,
    /// Tensors of the runs of a callable, kept from run to run.
    Tensors(CallableId),
    /// Graphs that a callable has built on the host, with what the device counts in while they run.
    Graphs(CallableId),
    /// Windows and contexts of a group of workers: the device's own, not those of its peers.
    Window,
    /// What runs work in: shared region and heap rings. Reserved, see
    /// [`DeviceMemoryReport::arena_reserved_bytes`].
    RunArena,
    /// Code of loaded orchestrations, in their slots.
    Code,
}

/// What one holder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderUsage {
    /// Who.
    pub holder: Holder,
    /// Live allocations.
    pub allocations: usize,
    /// Bytes in them, as they were asked for.
    pub bytes: usize,
    /// The most bytes that there have been at once; of tensors since their callable was loaded.
    pub high_water_bytes: usize,
}

/// What is held on a device, by whom, and the most that has been.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceMemoryReport {
    /// Bytes that all holders have.
    pub bytes: usize,
    /// The most that they have had at once.
    pub high_water_bytes: usize,
    /// Those of `bytes` that are run arenas: address space, which a simulated device backs with
    /// memory page by page where runs touch it.
    pub arena_reserved_bytes: usize,
    /// Every holder that has or had something, in the order of [`Holder`]; tensors of a callable
    /// only while there are some.
    pub holders: Vec<HolderUsage>,
}

impl DeviceMemoryReport {
    /// What a holder has; `None` if it never had anything.
    pub fn of(&self, holder: Holder) -> Option<HolderUsage> {
        self.holders.iter().find(|usage| usage.holder == holder).copied()
    }
}
