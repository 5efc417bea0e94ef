//! What the loader would do with a shared object, or why it would not.
//!
//! It asks the loader itself: the plan that a registration and a load would make, and the names
//! that the device would offer. Nothing is loaded and none of the file's code runs.
//!
//! ```text
//!  bytes ─plan─┬─ refused ──────────────────────────────────▶ Refusal: why, where, what to do
//!              └─ Plan ─┬─ entry missing, names missing ────▶ Refusal, and the facts
//!                       └─ fine ────────────────────────────▶ the facts
//! ```
//!
//! An orchestration of hbg is opened by the system's loader, after a check of this program: that
//! check is what is asked for it, and the facts come along where the plan can give them.

use aicpu_executor::loader::{
    BuildId, Machine, NeededPolicy, Plan, PlanError, PlanLimits, SymbolResolver, plan,
};
use protocol::{BIND_SYMBOL, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL};
use serde::Serialize;

use crate::device::image;
use crate::device::resident_symbols::ResidentSymbols;
use crate::runtime_name::RuntimeName;

mod image_facts;
mod refusal;

pub use image_facts::{
    ExportFacts, ExportRole, ImageFacts, ImportFacts, LibraryFacts, PageRange, RelocationFacts,
    RoleFacts, SegmentFacts, UnwindFacts,
};
pub use refusal::Refusal;

/// The functions that a callable names; the rest is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryNames<'a> {
    /// The function that submits the tasks.
    pub entry: &'a str,
    /// The function that says how many arguments it expects.
    pub config: &'a str,
}

impl Default for EntryNames<'_> {
    fn default() -> Self {
        Self { entry: DEFAULT_ENTRY_SYMBOL, config: DEFAULT_CONFIG_SYMBOL }
    }
}

/// What became of looking at a file. Its JSON is that of `host-runner inspect --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The runtime that it was looked at for.
    pub runtime: &'static str,
    /// Whether it would be loaded, as far as this machine can tell: the names that an image for
    /// another machine wants are not looked up.
    pub loads: bool,
    /// Why not.
    pub refusal: Option<Refusal>,
    /// Size of the file.
    pub file_bytes: usize,
    /// The machine it is for, if it is one that the loader knows.
    pub machine: Option<&'static str>,
    /// Whether that is this machine.
    pub is_native: bool,
    /// Build-ID in hexadecimal digits, if it has one that can be read.
    pub build_id: Option<String>,
    /// Bytes of address space that the slot of a callable has; none for hbg, which has no slots.
    pub slot_bytes: Option<usize>,
    /// What it is made of, where the loader gets that far.
    pub image: Option<ImageFacts>,
}

/// Looks at a file as the loader of orchestrations of trb would.
pub fn inspect(file: &[u8], names: EntryNames<'_>) -> Inspection {
    let machine = Machine::of_file(file);
    let is_native = machine == Some(Machine::native());
    let limits = PlanLimits { page_bytes: rustix::param::page_size(), ..PlanLimits::default() };
    // A file for no machine that the loader knows is refused for that.
    let planned_for = machine.unwrap_or_else(Machine::native);
    let planned = plan(file, planned_for, &limits);
    let (refusal, image) = match &planned {
        Ok(plan) => {
            let facts = ImageFacts::of(plan, &limits, roles(names), symbols(is_native));
            (Refusal::of_facts(&facts), Some(facts))
        }
        Err(error) => {
            let facts = without_limits(file, planned_for, &limits, error)
                .map(|plan| ImageFacts::of(&plan, &limits, roles(names), symbols(is_native)));
            (Some(Refusal::of_plan(*error)), facts)
        }
    };
    let slot_bytes = Some(limits.span_bytes);
    Inspection { refusal, image, slot_bytes, ..Inspection::of_file(RuntimeName::Trb, file) }
        .judged()
}

/// Looks at a file as a registration for hbg would, with this function as its entry. What it
/// imports is looked up by the system's loader, in libraries of its choice: here it is not.
pub fn inspect_graph(file: &[u8], entry: &str) -> Inspection {
    let refusal = image::check(file, entry).err().map(|error| Refusal::of_image(&error));
    let page_bytes = rustix::param::page_size();
    let limits = describing(PlanLimits { page_bytes, ..PlanLimits::default() });
    let machine = Machine::of_file(file).unwrap_or_else(Machine::native);
    let plan = plan(file, machine, &limits).ok();
    let roles = [(ExportRole::Entry, entry)];
    let image = plan.map(|plan| ImageFacts::of(&plan, &limits, roles, None));
    Inspection { refusal, image, ..Inspection::of_file(RuntimeName::Hbg, file) }.judged()
}

impl Inspection {
    /// What can be said of any file.
    fn of_file(runtime: RuntimeName, file: &[u8]) -> Self {
        let machine = Machine::of_file(file);
        Self {
            runtime: runtime.name(),
            loads: false,
            refusal: None,
            file_bytes: file.len(),
            machine: machine.map(machine_name),
            is_native: machine == Some(Machine::native()),
            build_id: BuildId::of_file(file).map(|id| id.to_string()),
            slot_bytes: None,
            image: None,
        }
    }

    /// The same with the verdict that follows.
    fn judged(self) -> Self {
        Self { loads: self.refusal.is_none(), ..self }
    }
}

/// The functions that the executor looks for.
fn roles(names: EntryNames<'_>) -> [(ExportRole, &str); 3] {
    [
        (ExportRole::Entry, names.entry),
        (ExportRole::Config, names.config),
        (ExportRole::Bind, BIND_SYMBOL),
    ]
}

/// Limits under which as much as possible is described.
fn describing(limits: PlanLimits) -> PlanLimits {
    PlanLimits {
        image_bytes: usize::MAX,
        // Addresses of larger images are kept in 32 bits.
        span_bytes: 1 << 31,
        relocations: usize::MAX,
        needed: NeededPolicy::AnyBareName,
        ..limits
    }
}

/// The plan of an image that is only too large, or needs a library that is not offered: it can be
/// described all the same.
fn without_limits<'a>(
    file: &'a [u8],
    machine: Machine,
    limits: &PlanLimits,
    error: &PlanError,
) -> Option<Plan<'a>> {
    let is_limit = matches!(
        error,
        PlanError::NeededNotAllowed { .. }
            | PlanError::ImageTooLarge { .. }
            | PlanError::SpanTooLarge { .. }
            | PlanError::TooManyRelocations { .. }
    );
    is_limit.then(|| plan(file, machine, &describing(*limits)).ok())?
}

/// What offers the names that an image of this machine imports.
fn symbols(is_native: bool) -> Option<&'static dyn SymbolResolver> {
    is_native.then(|| ResidentSymbols::open() as &dyn SymbolResolver)
}

fn machine_name(machine: Machine) -> &'static str {
    match machine {
        Machine::X86_64 => "x86-64",
        Machine::Aarch64 => "AArch64",
    }
}

#[cfg(test)]
mod tests;
