//! Relocations: decodes them, and checks all of them before anything is written.
//!
//! Decoding is shared by planning, which refuses what it does not like, and by committing, which
//! therefore meets nothing new. Hostile classes 12, 17, 19 to 21, 23, 24 and 30.

use zerocopy::little_endian::U64;

use super::dynamic::{Dynamic, Records, TableTags};
use super::elf::{Rela, Tag};
use super::error::PlanError;
use super::machine::{Machine, RelocationKind};
use super::name::SymbolName;
use super::relr;
use super::segment::Segments;
use super::symbol::SymbolTable;

/// Bytes a relocation writes; all supported ones write one word.
pub(super) const WORD_BYTES: u64 = 8;

/// The relocation tables of an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relocations<'a> {
    machine: Machine,
    rela: Records<'a, Rela>,
    plt: Records<'a, Rela>,
    relr: Records<'a, U64>,
}

/// What a relocation asks to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Load bias + `addend` at `target`.
    Relative { target: u64, addend: u64 },
    /// Address of `symbol` + `addend` at `target`.
    Symbol { target: u64, symbol: u32, addend: u64 },
}

impl<'a> Relocations<'a> {
    /// Locates the three tables.
    ///
    /// # Errors
    ///
    /// The tags of a table contradict each other, or it is not in the file bytes of one segment.
    pub(super) fn read(
        dynamic: &Dynamic<'a>,
        segments: &Segments<'a>,
        machine: Machine,
    ) -> Result<Self, PlanError> {
        let rela = TableTags { address: Tag::RELA, size: Tag::RELASZ, entry: Some(Tag::RELAENT) };
        let plt = TableTags { address: Tag::JMPREL, size: Tag::PLTRELSZ, entry: None };
        let relr = TableTags { address: Tag::RELR, size: Tag::RELRSZ, entry: Some(Tag::RELRENT) };
        let plt: Records<'_, Rela> = dynamic.records(plt, segments)?;
        if !plt.records.is_empty() {
            // Says that they have addends; another value was refused already.
            dynamic.require(Tag::PLTREL)?;
        }
        Ok(Self {
            machine,
            rela: dynamic.records(rela, segments)?,
            plt,
            relr: dynamic.records(relr, segments)?,
        })
    }

    /// Returns the packed relative relocations, which are applied first.
    pub(super) const fn packed(&self) -> Records<'a, U64> {
        self.relr
    }

    /// Walks the others in the order of application, as decoded.
    pub(super) fn actions(&self) -> impl Iterator<Item = Result<Action, PlanError>> + use<'a> {
        let machine = self.machine;
        self.positioned().map(move |(offset, entry)| decode(machine, offset, entry))
    }

    /// Walks the unpacked relocations with their positions in the file.
    fn positioned(&self) -> impl Iterator<Item = (u64, &'a Rela)> + use<'a> {
        self.rela.positioned().chain(self.plt.positioned())
    }

    /// Checks all relocations and returns how many words they write.
    ///
    /// # Errors
    ///
    /// One of them is unknown, unsupported, names no symbol, or writes outside the writable
    /// segments; or there are more than `limit`.
    pub(super) fn check(
        &self,
        segments: &Segments<'_>,
        symbols: &SymbolTable<'_>,
        limit: usize,
    ) -> Result<usize, PlanError> {
        let mut count = 0_usize;
        let mut target_is_fine = |offset, vaddr| {
            count = count.saturating_add(1);
            if count > limit {
                return Err(PlanError::TooManyRelocations { limit });
            }
            if !segments.is_writable(vaddr, WORD_BYTES) {
                return Err(PlanError::RelocationTarget { offset, vaddr });
            }
            Ok(())
        };
        relr::for_each(self.relr, &mut target_is_fine)?;
        for (offset, entry) in self.positioned() {
            match decode(self.machine, offset, entry)? {
                Action::Nothing => {}
                Action::Relative { target, .. } => target_is_fine(offset, target)?,
                Action::Symbol { target, symbol, .. } => {
                    target_is_fine(offset, target)?;
                    if symbols.binding(symbol).is_none() {
                        let count = symbols.count();
                        return Err(PlanError::SymbolIndex { offset, symbol, count });
                    }
                }
            }
        }
        Ok(count)
    }
}

/// Decodes one relocation at `offset` of the file.
fn decode(machine: Machine, offset: u64, entry: &Rela) -> Result<Action, PlanError> {
    let info = entry.info.get();
    let target = entry.target.get();
    // Addresses are added modulo 2^64, so the sign of an addend does not matter.
    let addend = entry.addend.get().cast_unsigned();
    // CAST: the ABI packs two 32-bit numbers into one word.
    let (symbol, number) = ((info >> 32) as u32, info as u32);
    let kind = machine.relocation_kind(number).ok_or(PlanError::RelocationType {
        offset,
        number,
        machine,
    })?;
    match kind {
        RelocationKind::None => Ok(Action::Nothing),
        RelocationKind::Relative => Ok(Action::Relative { target, addend }),
        RelocationKind::SymbolPlusAddend => Ok(Action::Symbol { target, symbol, addend }),
        RelocationKind::Symbol => Ok(Action::Symbol { target, symbol, addend: 0 }),
        RelocationKind::Copy => Err(PlanError::CopyRelocation { offset, vaddr: target }),
        RelocationKind::IndirectRelative => {
            Err(PlanError::IndirectRelocation { offset, resolver: addend })
        }
        // A named variable was refused with its name when the symbols were read.
        RelocationKind::ThreadLocal => Err(PlanError::ThreadLocal { name: SymbolName::EMPTY }),
    }
}
