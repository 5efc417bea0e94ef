//! What an address of loaded code stands for.

use std::fmt;

use aicpu_executor::loaded_code::LoadedRange;
pub use aicpu_executor::loader::BuildId;
use aicpu_executor::loader::{Machine, PlanLimits, plan};
use protocol::CallableId;

/// A place in the code of an orchestration.
///
/// Prints as `callable 3 "vector_add" (build-id 1a2b…) aicpu_orchestration_entry+0x1c`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeLocation {
    /// The callable.
    pub callable: CallableId,
    /// Its name.
    pub name: String,
    /// Build-ID of the orchestration, if it has one: names the file with its debug information.
    pub build_id: Option<BuildId>,
    /// The function as the compiler named it; `None` where the image has no name for the place.
    pub symbol: Option<String>,
    /// Bytes from the start of the function, or without one the address as linked.
    pub offset: u64,
}

impl CodeLocation {
    /// Looks an address up in the image that was loaded at `range`.
    pub(super) fn find(range: &LoadedRange, name: &str, image: &[u8], address: u64) -> Self {
        let vaddr = address.wrapping_sub(range.bias);
        let limits = PlanLimits { page_bytes: rustix::param::page_size(), ..PlanLimits::default() };
        let machine = Machine::of_file(image);
        let planned = machine.and_then(|machine| plan(image, machine, &limits).ok());
        let place = planned.and_then(|plan| plan.symbolise(vaddr));
        Self {
            callable: range.id,
            name: name.to_owned(),
            build_id: BuildId::of_file(image),
            symbol: place.map(|place| String::from_utf8_lossy(place.function.name).into_owned()),
            offset: place.map_or(vaddr, |place| place.offset),
        }
    }
}

impl fmt::Display for CodeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { callable, name, build_id, symbol, offset } = self;
        write!(f, "callable {callable} {name:?} ")?;
        match build_id {
            Some(id) => write!(f, "(build-id {id}) ")?,
            None => f.write_str("(no build-id) ")?,
        }
        write!(f, "{}+{offset:#x}", symbol.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
