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
use super::relr::{self, Group};
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

    /// Returns the others in the order of application: first the data, then the PLT.
    pub(super) const fn unpacked(&self) -> [Records<'a, Rela>; 2] {
        [self.rela, self.plt]
    }

    /// Returns the `r_info` of a relative relocation, by far the most frequent kind.
    ///
    /// Whoever walks many relocations compares with it before decoding.
    pub(super) const fn relative_info(&self) -> u64 {
        // No symbol, so the number alone.
        self.machine.relative_number() as u64
    }

    /// Decodes record `index` of a table of [`unpacked`](Self::unpacked).
    #[inline(always)]
    pub(super) fn decode(
        &self,
        table: &Records<'_, Rela>,
        index: usize,
        entry: &Rela,
    ) -> Result<Action, PlanError> {
        decode(self.machine, table.position(index), entry)
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
        let mut targets = Targets { segments, limit, count: 0, start: 0, words_end: 0 };
        for group in relr::groups(self.relr) {
            targets.check_group(group?)?;
        }
        let relative = self.relative_info();
        for table in self.unpacked() {
            let mut index = 0;
            while let Some(rest) = table.records.get(index..)
                && let Some(entry) = rest.first()
            {
                let run = targets.relative_run(rest, relative)?;
                index += run;
                if run == 0 {
                    self.check_one(&table, index, entry, symbols, &mut targets)?;
                    index += 1;
                }
            }
        }
        Ok(targets.count)
    }

    /// Checks a relocation of any kind.
    fn check_one(
        &self,
        table: &Records<'_, Rela>,
        index: usize,
        entry: &Rela,
        symbols: &SymbolTable<'_>,
        targets: &mut Targets<'_>,
    ) -> Result<(), PlanError> {
        let offset = table.position(index);
        match decode(self.machine, offset, entry)? {
            Action::Nothing => Ok(()),
            Action::Relative { target, .. } => targets.check(offset, target),
            Action::Symbol { target, symbol, .. } => {
                targets.check(offset, target)?;
                let count = symbols.count();
                if symbol as usize >= count {
                    return Err(PlanError::SymbolIndex { offset, symbol, count });
                }
                Ok(())
            }
        }
    }
}

/// Checks and counts the words that relocations write.
struct Targets<'s> {
    segments: &'s Segments<'s>,
    limit: usize,
    count: usize,
    /// The writable segment that held the last word: words may start from `start` up to before
    /// `start + words_end`. Linkers sort by address, so it mostly holds the next one too.
    start: u64,
    words_end: u64,
}

impl Targets<'_> {
    /// Checks the word at `vaddr`, which the relocation at `offset` of the file writes.
    #[inline]
    fn check(&mut self, offset: u64, vaddr: u64) -> Result<(), PlanError> {
        self.count_more(1)?;
        if vaddr.wrapping_sub(self.start) < self.words_end {
            return Ok(());
        }
        self.find(offset, vaddr)
    }

    /// Checks the words of an entry of the packed table.
    fn check_group(&mut self, group: Group) -> Result<(), PlanError> {
        let is_known = |vaddr: u64| vaddr.wrapping_sub(self.start) < self.words_end;
        let (lowest, highest) = group.range();
        // Between two words of one segment there is nothing else.
        if is_known(lowest) && is_known(highest) && lowest <= highest {
            return self.count_more(group.count());
        }
        group.words().try_for_each(|vaddr| self.check(group.offset, vaddr))
    }

    /// Counts words.
    fn count_more(&mut self, words: usize) -> Result<(), PlanError> {
        self.count += words;
        if self.count > self.limit {
            return Err(PlanError::TooManyRelocations { limit: self.limit });
        }
        Ok(())
    }

    /// Counts the relocations from the first on that are relative and write to the segment of the
    /// last word.
    fn relative_run(&mut self, records: &[Rela], relative_info: u64) -> Result<usize, PlanError> {
        let (start, words_end) = (self.start, self.words_end);
        let run = records
            .iter()
            .take_while(|entry| {
                entry.info.get() == relative_info
                    && entry.target.get().wrapping_sub(start) < words_end
            })
            .count();
        self.count_more(run)?;
        Ok(run)
    }

    /// Finds the segment of a word that is not in the last one's.
    #[cold]
    fn find(&mut self, offset: u64, vaddr: u64) -> Result<(), PlanError> {
        let segment = self.segments.writable_segment(vaddr, WORD_BYTES);
        let segment = segment.ok_or(PlanError::RelocationTarget { offset, vaddr })?;
        self.start = segment.vaddr;
        // The segment holds a word, so this does not wrap.
        self.words_end = segment.memory_bytes - (WORD_BYTES - 1);
        Ok(())
    }
}

/// Decodes one relocation at `offset` of the file.
#[inline(always)]
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
