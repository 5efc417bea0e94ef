//! Why an image would not be loaded, as a sentence, and what to do about it.

use aicpu_executor::loader::PlanError;
use protocol::KERNEL_ENTRY_SYMBOL;
use serde::Serialize;

use super::image_facts::{ExportRole, ImageFacts};
use crate::device::ImageError;

/// What to do with a file that no compiler and linker write like that.
const DAMAGED: &str = "the file was cut, damaged or edited: build it anew and copy it whole";

/// Why an image would not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of reason, for programs: the name of the loader's error.
    pub kind: String,
    /// What is wrong, where, and what was found there.
    pub message: String,
    /// What to do, where the message does not say it.
    pub advice: Option<&'static str>,
}

impl Refusal {
    /// The refusal of an image that cannot be planned.
    pub(super) fn of_plan(error: PlanError) -> Self {
        Self { kind: kind_of(&error), message: error.to_string(), advice: advice(error) }
    }

    /// The refusal of an image that the system's loader is not to see.
    pub(super) fn of_image(error: &ImageError) -> Self {
        let advice = match error {
            ImageError::MissingSymbol { .. } => Some("or name another one with --entry"),
            ImageError::Malformed { .. } => Some(DAMAGED),
            // The others say it themselves.
            _ => None,
        };
        Self { kind: kind_of(error), message: error.to_string(), advice }
    }

    /// The refusal of an image that can be planned, if there is one.
    pub(super) fn of_facts(facts: &ImageFacts) -> Option<Self> {
        Self::missing_entry(facts).or_else(|| Self::missing_names(facts))
    }

    /// There is no function to enter.
    fn missing_entry(facts: &ImageFacts) -> Option<Self> {
        let entry = facts.roles.iter().find(|each| each.role == ExportRole::Entry)?;
        let problem = entry.problem.as_ref()?;
        let is_kernel = facts.exports.iter().any(|each| each.name == KERNEL_ENTRY_SYMBOL);
        let advice = if is_kernel {
            "this looks like a kernel, which the system's loader opens, not this one: give the \
             orchestration"
        } else {
            "define it with C linkage and default visibility, or name another one with --entry"
        };
        Some(Self {
            kind: "Entry".into(),
            message: format!("cannot be entered at `{}`: {problem}", entry.name),
            advice: Some(advice),
        })
    }

    /// Names that nobody offers.
    fn missing_names(facts: &ImageFacts) -> Option<Self> {
        let missing = &facts.missing;
        let count = missing.len();
        let names = if count == 1 { "name is" } else { "names are" };
        (count > 0).then(|| Self {
            kind: "Unresolved".into(),
            message: format!("{count} {names} not offered: {}", missing.join(", ")),
            advice: Some("define them, or link what defines them statically"),
        })
    }
}

/// The name of an error's variant.
fn kind_of(error: &impl std::fmt::Debug) -> String {
    let name = format!("{error:?}");
    name.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// What to do about an image that was refused; `None` where the error says it itself.
fn advice(error: PlanError) -> Option<&'static str> {
    use PlanError as E;
    Some(match error {
        E::PageSize { .. }
        | E::ImageTooLarge { .. }
        | E::NotSharedObject { .. }
        | E::PageShared { .. }
        | E::ExecutableStack { .. }
        | E::TextRelocations { .. }
        | E::NeededNotAllowed { .. }
        | E::ThreadLocal { .. } => return None,
        E::NotElf { .. } => "give a shared object as g++ -shared -fPIC writes it",
        E::UnsupportedField { .. } => {
            "only 64-bit little-endian files for Linux are loaded; if it is one, it is damaged"
        }
        E::WrongMachine { .. } => "compile it for x86-64 or AArch64",
        E::SpanTooLarge { .. } => "make its static arrays smaller, or allocate them when it runs",
        E::SegmentAlignment { .. } => "link with -z max-page-size=4096 and no larger alignment",
        E::WritableExecutable { .. } => {
            "link without -N (--omagic) and without scripts of your own"
        }
        E::UnsupportedTag { .. } => "link with GNU ld or lld for Linux, without filters",
        E::NoHashTable => "link with --hash-style=gnu",
        E::IndirectFunction { .. } | E::IndirectRelocation { .. } => {
            "take out the attributes ifunc and target_clones"
        }
        E::RelocationType { .. } => "compile with -fPIC, without options for other code models",
        E::CopyRelocation { .. } => "link with -shared",
        E::TooManyRelocations { .. } => "use fewer static tables of pointers",
        E::TooManyFunctions { .. } => "use fewer source files with static objects",
        E::NeededPath { .. } => "link the library with -l, which notes its bare name",
        _ => DAMAGED,
    })
}

#[cfg(test)]
mod tests {
    use aicpu_executor::loader::SymbolName;

    use super::*;

    #[test]
    fn a_refusal_has_its_kind_and_something_to_do() {
        let rows = [
            (PlanError::NoHashTable, "NoHashTable", Some("link with --hash-style=gnu")),
            (PlanError::ThreadLocal { name: SymbolName::EMPTY }, "ThreadLocal", None),
            (PlanError::MissingHeader { kind: "PT_DYNAMIC" }, "MissingHeader", Some(DAMAGED)),
        ];
        for (error, kind, advice) in rows {
            let refusal = Refusal::of_plan(error);
            assert_eq!((refusal.kind.as_str(), refusal.advice), (kind, advice));
            assert_eq!(refusal.message, error.to_string());
        }
    }
}
