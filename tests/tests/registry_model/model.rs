//! What a worker is, without its device, its code and its threads: ids, handles, and sizes.

use std::collections::BTreeMap;

use host_runner::device::DeviceUsage;
use host_runner::worker::Counters;
use protocol::{MAX_REGISTERED_CALLABLE_IDS, StatusCode};

use crate::programs::{Flaw, Program};

/// Bytes of a cell.
const CELL: usize = 8;

/// What comes of a registration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Registered {
    /// It has this id.
    Id(usize),
    /// All ids are taken.
    Full,
    /// The orchestration is at fault.
    BadOrchestration,
    /// The kernel of this func id is at fault.
    BadKernel(usize),
}

/// What comes of a run, or of taking a callable away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It succeeded.
    Done,
    /// The run ended with a status.
    Fault(StatusCode),
    /// The device did not come back.
    Lost,
    /// The settings are beyond the device.
    Settings,
    /// A tensor is not inside an allocation.
    OutOfRange,
    /// The handle names nothing any more.
    Stale,
    /// The handle is another worker's.
    Foreign,
}

/// What the orchestration is asked to do; the number is what it knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Works = 0,
    ReportsFatal = 1,
    Throws = 2,
    NamesMissingKernel = 3,
    CallsThrowingKernel = 4,
    Hangs = 5,
}

impl Deed {
    /// How the run ends.
    const fn end(self) -> End {
        match self {
            Self::Works => End::Done,
            Self::ReportsFatal => End::Fault(StatusCode::ExplicitFatal),
            Self::Throws => End::Fault(StatusCode::EntryException),
            Self::NamesMissingKernel => End::Fault(StatusCode::KernelMissing),
            Self::CallsThrowingKernel => End::Fault(StatusCode::KernelException),
            Self::Hangs => End::Lost,
        }
    }
}

/// Where the output of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// On the host.
    Host,
    /// At the start of this allocation, by its number among those that are alive.
    Device(usize),
}

/// A use of an id.
#[derive(Debug)]
struct Registration {
    program: Program,
    /// Whether it is on the device: not since a device was lost, until it runs again.
    placed: bool,
    loaded: bool,
    /// Runs that its orchestration saw since it was loaded.
    runs: u64,
    /// Bytes of the buffers of its tensors.
    buffers: [usize; 2],
}

/// A worker.
#[derive(Debug, Default)]
pub(crate) struct Model {
    registered: BTreeMap<usize, Registration>,
    /// For each handle in the order of registration: the id, as long as it is registered.
    handles: Vec<Option<usize>>,
    /// What is in the memory that the user allocated.
    allocations: Vec<Vec<u8>>,
    counters: Counters,
}

impl Model {
    /// Registers a program.
    pub(crate) fn register(&mut self, program: Program) -> Registered {
        let Some(id) = self.free_id() else { return Registered::Full };
        let new = Registration { program, placed: true, loaded: false, runs: 0, buffers: [0; 2] };
        self.registered.insert(id, new);
        self.handles.push(Some(id));
        self.counters.registrations += 1;
        Registered::Id(id)
    }

    /// Registers what cannot be registered.
    pub(crate) fn refuse(&self, flaw: Flaw) -> Registered {
        match (self.free_id(), flaw.is_in_kernel()) {
            (None, _) => Registered::Full,
            (Some(_), true) => Registered::BadKernel(1),
            (Some(_), false) => Registered::BadOrchestration,
        }
    }

    /// Takes the callable of a handle away.
    pub(crate) fn unregister(&mut self, handle: usize) -> End {
        match self.handles[handle].take() {
            Some(id) => {
                self.registered.remove(&id);
                End::Done
            }
            None => End::Stale,
        }
    }

    /// Runs the callable of a handle with `cells` cells of output and so many of input, which is
    /// not there if it has none. Returns the end, and what the output holds after success.
    pub(crate) fn run(
        &mut self,
        handle: usize,
        deed: Deed,
        output: Output,
        [cells, input]: [usize; 2],
    ) -> (End, Vec<u64>) {
        let Some(id) = self.handles[handle] else { return (End::Stale, Vec::new()) };
        let Some(registration) = self.registered.get_mut(&id) else { panic!("no callable {id}") };
        registration.placed = true;
        let host_cells = match output {
            Output::Host => cells,
            Output::Device(number) if self.allocations[number].len() < cells * CELL => {
                return (End::OutOfRange, Vec::new());
            }
            Output::Device(_) => 0,
        };
        for (buffer, cells) in registration.buffers.iter_mut().zip([host_cells, input]) {
            *buffer = (*buffer).max(cells * CELL);
        }
        if deed == Deed::Hangs {
            self.lose_device();
            return (End::Lost, Vec::new());
        }
        self.counters.loads += u64::from(!registration.loaded);
        registration.loaded = true;
        registration.runs += 1;
        let left = registration.program.output(registration.runs, cells);
        let end = deed.end();
        if end != End::Done {
            return (end, Vec::new());
        }
        self.counters.runs += 1;
        if let Output::Device(number) = output {
            let bytes: Vec<u8> = left.iter().flat_map(|cell| cell.to_le_bytes()).collect();
            self.allocations[number][..bytes.len()].copy_from_slice(&bytes);
        }
        (end, left)
    }

    /// All that was on the device is gone; what is registered stays.
    fn lose_device(&mut self) {
        self.allocations.clear();
        for registration in self.registered.values_mut() {
            let Registration { program, .. } = *registration;
            *registration =
                Registration { program, placed: false, loaded: false, runs: 0, buffers: [0; 2] };
        }
    }

    /// Whether a handle's callable is registered.
    pub(crate) fn is_registered(&self, handle: usize) -> bool {
        self.handles[handle].is_some()
    }

    /// Number of handles that there ever were.
    pub(crate) fn handles(&self) -> usize {
        self.handles.len()
    }

    /// What the user allocated.
    pub(crate) fn allocations(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.allocations
    }

    /// The smallest id that is free.
    fn free_id(&self) -> Option<usize> {
        (0..MAX_REGISTERED_CALLABLE_IDS).find(|id| !self.registered.contains_key(id))
    }

    /// What the worker has done.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// What must be in use on the device: each distinct image and kernel once, the buffers of the
    /// tensors, and what the user allocated.
    pub(crate) fn usage(&self) -> DeviceUsage {
        let placed = || self.registered.values().filter(|each| each.placed);
        let programs = || placed().map(|each| each.program);
        let images: BTreeMap<_, _> =
            programs().map(|each| (each.image, each.sizes().image)).collect();
        let mut kernels: BTreeMap<_, _> =
            programs().map(|each| (Some(each.downwards), each.sizes().fills)).collect();
        kernels.extend(programs().map(|each| (None, each.sizes().throws)));
        let mut sizes: Vec<usize> = images.into_values().chain(kernels.values().copied()).collect();
        sizes.extend(placed().flat_map(|each| each.buffers).filter(|bytes| *bytes > 0));
        sizes.extend(self.allocations.iter().map(Vec::len));
        DeviceUsage { allocations: sizes.len(), bytes: sizes.iter().sum(), kernels: kernels.len() }
    }
}
