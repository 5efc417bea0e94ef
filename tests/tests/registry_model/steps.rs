//! What a user may do with a worker, as random steps.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

use crate::calls::Deed;
use crate::programs::{Flaw, IMAGES, Program};

/// Something that a user does. An index picks one of what is there, if there is anything.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Register(Program),
    /// Under an id of the user's choice: one of the first ones, or any number.
    RegisterAs(usize, Program),
    RegisterFlawed(Flaw),
    /// Registers until no id is left, and once more.
    FillTable(Program),
    /// Of any handle that there ever was, and waits for its runs where that is not for ever.
    Unregister(Index),
    /// The same without waiting.
    BeginUnregister(Index),
    /// Forgets a handle.
    DropHandle(Index),
    /// While runs of the user are held up, it is submitted instead.
    Run(Run),
    /// Submits a run that waits for the user, so that all runs after it wait, too.
    Hold(Index),
    /// Lets the run go on that the others wait for.
    Release,
    Submit(Run),
    /// Waits for one of the runs in flight.
    Wait(Index),
    Cancel(Index),
    Bind(Run),
    /// With another scalar; whether it is submitted. While runs are held up it is.
    RunBound(Index, Deed, bool),
    DropBound(Index),
    Allocate(usize),
    Free(Index),
    /// Writes some bytes from somewhere in an allocation, and reads them all.
    Copy {
        allocation: Index,
        offset: Index,
        bytes: Vec<u8>,
    },
    /// With settings beyond the device.
    RunBeyond(Index),
    /// Of another worker.
    UseForeign,
}

/// A run of any handle that there ever was.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) handle: Index,
    pub(crate) deed: Deed,
    /// The allocation that its output is in, if it shall not be on the host. Only if it works: what
    /// a run that fails leaves there nobody knows.
    pub(crate) device_output: Option<Index>,
    /// Cells of output and input, the latter of which may be none.
    pub(crate) cells: [usize; 2],
    pub(crate) aicpu_threads: u32,
}

fn program() -> impl Strategy<Value = Program> {
    (0..IMAGES, 1..=2_u64, any::<bool>()).prop_map(|(image, entry, downwards)| Program {
        image,
        entry,
        downwards,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        160 => Just(Deed::Works),
        20 => Just(Deed::ReportsFatal),
        20 => Just(Deed::Throws),
        20 => Just(Deed::NamesMissingKernel),
        20 => Just(Deed::CallsThrowingKernel),
        // Each of them costs time limits.
        1 => Just(Deed::Hangs),
        4 => Just(Deed::Lingers),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let device_output = proptest::option::weighted(0.3, any::<Index>());
    let cells = [1..80_usize, 0..80];
    (any::<Index>(), deed(), device_output, cells, 1..=4_u32).prop_map(
        |(handle, deed, device_output, cells, aicpu_threads)| Run {
            handle,
            deed,
            device_output: device_output.filter(|_| deed == Deed::Works),
            cells,
            aicpu_threads,
        },
    )
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let copy = (any::<Index>(), any::<Index>(), vec(any::<u8>(), 1..100))
        .prop_map(|(allocation, offset, bytes)| Step::Copy { allocation, offset, bytes });
    let id = prop_oneof![4 => 0..6_usize, 1 => 0..1030_usize];
    prop_oneof![
        // Costs more than all other steps of a sequence together.
        2 => program().prop_map(Step::FillTable),
        160 => program().prop_map(Step::Register),
        60 => (id, program()).prop_map(|(id, program)| Step::RegisterAs(id, program)),
        60 => select(&Flaw::ALL[..]).prop_map(Step::RegisterFlawed),
        100 => any::<Index>().prop_map(Step::Unregister),
        80 => any::<Index>().prop_map(Step::BeginUnregister),
        40 => any::<Index>().prop_map(Step::DropHandle),
        300 => run().prop_map(Step::Run),
        150 => any::<Index>().prop_map(Step::Hold),
        40 => Just(Step::Release),
        300 => run().prop_map(Step::Submit),
        80 => any::<Index>().prop_map(Step::Wait),
        80 => any::<Index>().prop_map(Step::Cancel),
        100 => run().prop_map(Step::Bind),
        200 => (any::<Index>(), deed(), any::<bool>())
            .prop_map(|(index, deed, submits)| Step::RunBound(index, deed, submits)),
        30 => any::<Index>().prop_map(Step::DropBound),
        60 => (1..1000_usize).prop_map(Step::Allocate),
        30 => any::<Index>().prop_map(Step::Free),
        60 => copy,
        20 => any::<Index>().prop_map(Step::RunBeyond),
        20 => Just(Step::UseForeign),
    ]
}
