//! What an image is made of, in plain values that can be printed or turned into JSON.

use aicpu_executor::loader::{
    Import, NeededPolicy, Plan, PlanLimits, Protection, Segment, SymbolKind, SymbolResolver,
};
use serde::Serialize;

/// What an image is made of. Addresses are as linked, from 0 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImageFacts {
    /// The name the library gives itself.
    pub soname: Option<String>,
    /// Bytes of address space.
    pub span_bytes: usize,
    /// Alignment of that space.
    pub align_bytes: usize,
    /// Page size that all of this is for.
    pub page_bytes: usize,
    /// What is mapped, ascending by address.
    pub segments: Vec<SegmentFacts>,
    /// Pages that become read-only after relocation.
    pub relro: Option<PageRange>,
    /// Words that relocations write, by kind.
    pub relocations: RelocationFacts,
    /// Libraries it needs.
    pub needed: Vec<LibraryFacts>,
    /// Names it wants from outside.
    pub imports: Vec<ImportFacts>,
    /// Those that it cannot do without and nobody offers, each as `name@VERSION`.
    pub missing: Vec<String>,
    /// Names it shows.
    pub exports: Vec<ExportFacts>,
    /// The functions that the executor looks for.
    pub roles: Vec<RoleFacts>,
    /// Functions that run after loading.
    pub initialisers: usize,
    /// Functions that run before unloading.
    pub finalisers: usize,
    /// Unwind tables; without them an exception in the image ends the process.
    pub unwind: Option<UnwindFacts>,
    /// Whether its code is marked for branch target identification.
    pub branch_targets: bool,
}

/// One loadable segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentFacts {
    /// Position in the file.
    pub offset: u64,
    /// First address.
    pub vaddr: u64,
    /// Bytes in the file.
    pub file_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// `r`, `w` and `x`, or `-` for each that is missing.
    pub rights: String,
    /// Pages it takes.
    pub pages: usize,
}

/// Whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PageRange {
    /// First address.
    pub vaddr: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Words that relocations write, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RelocationFacts {
    /// The load address is added.
    pub relative: usize,
    /// The same, packed (RELR).
    pub packed: usize,
    /// The address of a symbol.
    pub symbolic: usize,
    /// Slots through which functions are called.
    pub plt: usize,
}

/// A needed library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LibraryFacts {
    /// Its name.
    pub name: String,
    /// Whether the loader stands in for it.
    pub allowed: bool,
}

/// A name that the image wants from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportFacts {
    /// Name.
    pub name: String,
    /// Version it was linked against.
    pub version: Option<String>,
    /// Whether the image can do without.
    pub weak: bool,
    /// Whether the device offers it; `None` where that was not looked up.
    pub offered: Option<bool>,
}

/// A name that the image shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportFacts {
    /// Name.
    pub name: String,
    /// Address.
    pub vaddr: u64,
    /// Bytes, 0 if unknown.
    pub bytes: u64,
    /// `function`, `data`, or `untyped` for hand-written assembly.
    pub kind: &'static str,
    /// Whether it is weak.
    pub weak: bool,
}

/// What the executor calls a function for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportRole {
    /// Submits the tasks; must be there.
    Entry,
    /// Says how many arguments it expects; without it nobody counts them.
    Config,
    /// Takes the runtime object; comes with the SDK's support file.
    Bind,
}

/// A function that the executor looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RoleFacts {
    /// What for.
    pub role: ExportRole,
    /// The name looked for.
    pub name: String,
    /// Whether it is there and can be called.
    pub present: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// Unwind tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnwindFacts {
    /// Address of `.eh_frame`.
    pub vaddr: u64,
    /// Its bytes; `None` if it has no end mark or speaks of other code, and cannot be registered.
    pub bytes: Option<u64>,
}

impl ImageFacts {
    /// Describes a planned image, and how it has these functions. Imports are looked up in `symbols`
    /// if there are any.
    pub(super) fn of<const N: usize>(
        plan: &Plan<'_>,
        limits: &PlanLimits,
        roles: [(ExportRole, &str); N],
        symbols: Option<&dyn SymbolResolver>,
    ) -> Self {
        let counts = plan.relocation_counts();
        let (imports, missing) = imports(plan, symbols);
        Self {
            soname: plan.soname().map(text),
            span_bytes: plan.span(),
            align_bytes: plan.align(),
            page_bytes: plan.page_bytes(),
            segments: plan.segments().iter().map(|each| segment(plan, each)).collect(),
            relro: plan.relro().map(|(vaddr, bytes)| PageRange { vaddr, bytes }),
            relocations: RelocationFacts {
                relative: counts.relative,
                packed: counts.packed,
                symbolic: counts.symbolic,
                plt: counts.plt,
            },
            needed: plan.needed().map(|name| library(name, limits.needed)).collect(),
            imports,
            missing,
            exports: exports(plan),
            roles: roles.map(|(role, name)| look_for(plan, role, name)).into(),
            initialisers: plan.initialisers(),
            finalisers: plan.finalisers(),
            unwind: plan
                .eh_frame()
                .map(|tables| UnwindFacts { vaddr: tables.frame_vaddr, bytes: tables.frame_bytes }),
            branch_targets: plan
                .segments()
                .iter()
                .any(|each| each.protection.contains(Protection::BRANCH_TARGETS)),
        }
    }
}

/// Names come out of a file; what is no text is replaced.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn segment(plan: &Plan<'_>, segment: &Segment) -> SegmentFacts {
    let Segment { vaddr, memory_bytes, offset, file_bytes, protection, .. } = *segment;
    let letter = |right, letter| if protection.contains(right) { letter } else { '-' };
    let rights = [
        letter(Protection::READ, 'r'),
        letter(Protection::WRITE, 'w'),
        letter(Protection::EXECUTE, 'x'),
    ];
    let (_, bytes) = plan.pages_of(segment);
    let pages = bytes.len() / plan.page_bytes();
    let rights = rights.iter().collect();
    SegmentFacts { offset, vaddr, file_bytes, memory_bytes, rights, pages }
}

fn library(name: &[u8], policy: NeededPolicy) -> LibraryFacts {
    let allowed = match policy {
        NeededPolicy::Allow(list) => list.iter().any(|each| each.as_bytes() == name),
        NeededPolicy::AnyBareName => !name.contains(&b'/'),
    };
    LibraryFacts { name: text(name), allowed }
}

/// The imports, and the names of those that are missing.
fn imports(
    plan: &Plan<'_>,
    symbols: Option<&dyn SymbolResolver>,
) -> (Vec<ImportFacts>, Vec<String>) {
    let mut missing = Vec::new();
    let describe = |import: Import<'_>| {
        let offered = symbols.map(|symbols| symbols.resolve(&import).is_some());
        if offered == Some(false) && !import.weak {
            missing.push(import.to_string());
        }
        let version = import.version.map(|version| text(version.name));
        ImportFacts { name: text(import.name), version, weak: import.weak, offered }
    };
    let imports = plan.imports().map(describe).collect();
    (imports, missing)
}

fn exports(plan: &Plan<'_>) -> Vec<ExportFacts> {
    let describe = |symbol: aicpu_executor::loader::ExportedSymbol<'_>| ExportFacts {
        name: text(symbol.name),
        vaddr: symbol.export.vaddr,
        bytes: symbol.export.size,
        kind: match symbol.export.kind {
            SymbolKind::Function => "function",
            SymbolKind::Object => "data",
            SymbolKind::NoType => "untyped",
        },
        weak: symbol.weak,
    };
    plan.exports().map(describe).collect()
}

fn look_for(plan: &Plan<'_>, role: ExportRole, name: &str) -> RoleFacts {
    let problem = plan.exported_function(name.as_bytes()).err().map(|error| error.to_string());
    RoleFacts { role, name: name.to_owned(), present: problem.is_none(), problem }
}
