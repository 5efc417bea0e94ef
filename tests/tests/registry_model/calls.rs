//! What is asked of a worker, and what comes of it.

use protocol::StatusCode;

/// What comes of a registration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Registered {
    /// It has this id, and is this use of it.
    As { id: usize, generation: u32 },
    /// All ids are taken.
    Full,
    /// The id that was asked for is taken.
    InUse,
    /// There is no such id.
    OutOfRange,
    /// The orchestration is at fault.
    BadOrchestration,
    /// The kernel of this func id is at fault.
    BadKernel(usize),
    /// The device has not loaded it.
    NotLoaded(StatusCode),
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
    /// It was cancelled before it began.
    Cancelled,
    /// What is in flight holds too many bytes.
    NoRoom,
}

/// What the orchestration is asked to do; the number is what it knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Works = 0,
    ReportsFatal = 1,
    Throws = 2,
    NamesMissingKernel = 3,
    CallsThrowingKernel = 4,
    /// Until it is given up.
    Hangs = 5,
    /// Until it is let go on; then it works.
    Waits = 6,
    /// Works, and will hang when it is unloaded.
    Lingers = 7,
}

impl Deed {
    /// How the run ends.
    pub(crate) const fn end(self) -> End {
        match self {
            Self::Works | Self::Waits | Self::Lingers => End::Done,
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

/// What a run is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) deed: Deed,
    pub(crate) output: Output,
    /// Cells of output and input, the latter of which may be none.
    pub(crate) cells: [usize; 2],
    /// What it holds on the host while it is in flight.
    pub(crate) bytes: u64,
}
