//! What a planned image is made of, for people: the loader itself needs none of this.
//!
//! `host-runner inspect` prints it. It exists apart so that planning stays about what is safe.

use super::dynamic::Records;
use super::elf::{self, Rela};
use super::plan::{Lifecycle, Plan};
use super::relocation::{Action, WORD_BYTES};
use super::relr;
use super::symbol::{Export, binding_of, export_of};

/// How many words the relocations of an image write, by kind.
///
/// `relative + packed + symbolic + plt` is [`Plan::relocations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelocationCounts {
    /// `DT_RELA` without a symbol: the load bias is added.
    pub relative: usize,
    /// `DT_RELR`: the same, packed.
    pub packed: usize,
    /// `DT_RELA` with a symbol.
    pub symbolic: usize,
    /// `DT_JMPREL`: slots through which functions are called.
    pub plt: usize,
}

/// A symbol that an image shows to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedSymbol<'a> {
    /// Name as the compiler wrote it.
    pub name: &'a [u8],
    /// Whether another definition would take precedence in the system's loader.
    pub weak: bool,
    /// Where and what it is.
    pub export: Export,
}

impl<'a> Plan<'a> {
    /// Counts the relocations by kind. Walks all of them.
    #[must_use]
    pub fn relocation_counts(&self) -> RelocationCounts {
        // Planning has walked all tables, so nothing fails here.
        let packed =
            relr::groups(self.relocations.packed()).flatten().map(relr::Group::count).sum();
        let mut counts = RelocationCounts { packed, ..RelocationCounts::default() };
        let [general, plt] = self.relocations.unpacked();
        let actions = |table: Records<'a, Rela>| {
            let decode = move |(index, entry)| self.relocations.decode(&table, index, entry);
            table.records.iter().enumerate().filter_map(move |each| decode(each).ok())
        };
        for action in actions(general) {
            match action {
                Action::Nothing => {}
                Action::Relative { .. } => counts.relative += 1,
                Action::Symbol { .. } => counts.symbolic += 1,
            }
        }
        counts.plt = actions(plt).filter(|action| *action != Action::Nothing).count();
        counts
    }

    /// Returns address and bytes of the pages that become read-only after relocation (RELRO).
    #[must_use]
    pub fn relro(&self) -> Option<(u64, u64)> {
        self.relro.map(|pages| (pages.vaddr, pages.bytes))
    }

    /// Returns how many functions run after loading.
    #[must_use]
    pub fn initialisers(&self) -> usize {
        self.init.count()
    }

    /// Returns how many functions run before unloading.
    #[must_use]
    pub fn finalisers(&self) -> usize {
        self.fini.count()
    }

    /// Iterates over the symbols that [`export`](Self::export) finds, in the order of the table.
    pub fn exports(&self) -> impl Iterator<Item = ExportedSymbol<'a>> {
        self.symbols.visible().filter_map(move |(name, symbol)| {
            let export = export_of(symbol)?;
            let is_inside = self.segments.holds(export.vaddr, export.size);
            is_inside.then_some(ExportedSymbol {
                name,
                weak: binding_of(symbol) == elf::STB_WEAK,
                export,
            })
        })
    }
}

impl Lifecycle {
    /// Returns the number of functions.
    fn count(&self) -> usize {
        let array = self.array.map_or(0, |array| array.bytes / WORD_BYTES);
        // CAST: planning has limited the array to a few entries.
        usize::from(self.function.is_some()) + array as usize
    }
}
