//! The rights of the pages of a slot, and the fewest calls that turn one such list into another.
//!
//! It exists apart because it is arithmetic: no memory, no system. What it decides is the price of
//! a load, at 3.5 µs a call (design loader §2.5).

use core::ops::Range;

use aicpu_executor::loader::{PageLayout, PageRun, Protection};

/// Runs a list may have: those of a layout (34), and one more for each end.
const MAX_RUNS: usize = 36;

/// Pages up to `end` with the same rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Offset of the first byte behind the run.
    end: u32,
    protection: Protection,
}

/// The rights of all pages of a slot: runs from its first byte on, and no access behind the last.
///
/// # Invariants
///
/// Neighbours differ, ends ascend, the last run has rights, none is writable and executable: equal
/// rights are equal lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rights {
    runs: heapless::Vec<Run, MAX_RUNS>,
}

impl Rights {
    /// No access anywhere.
    pub(super) const fn none() -> Self {
        Self { runs: heapless::Vec::new() }
    }

    /// The first `bytes` bytes readable and writable.
    pub(super) fn writable(bytes: usize) -> Option<Self> {
        Self::none().with(&(0..bytes), Protection::READ | Protection::WRITE)
    }

    /// The rights of an image; `None` if they are not whole pages, have gaps in the list, or
    /// something writable and executable.
    pub(super) fn of(layout: &PageLayout, page_bytes: usize) -> Option<Self> {
        let mut rights = Self::none();
        let mut end = 0;
        for run in layout.runs() {
            if run.offset != end || !run.bytes.is_multiple_of(page_bytes) {
                return None;
            }
            end = end.checked_add(run.bytes)?;
            rights.push(end, run.protection)?;
        }
        rights.trim();
        Some(rights)
    }

    /// These rights, but other ones for `pages`.
    pub(super) fn with(&self, pages: &Range<usize>, protection: Protection) -> Option<Self> {
        let mut rights = Self::none();
        for run in &self.runs {
            rights.push(pages.start.min(run.end as usize), run.protection)?;
        }
        rights.push(pages.start, Protection::empty())?;
        rights.push(pages.end, protection)?;
        for run in &self.runs {
            rights.push(run.end as usize, run.protection)?;
        }
        rights.trim();
        Some(rights)
    }

    /// Appends pages up to `end`; those that are there already stay as they are.
    fn push(&mut self, end: usize, protection: Protection) -> Option<()> {
        if protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return None;
        }
        let end = u32::try_from(end).ok()?;
        match self.runs.last_mut() {
            Some(last) if end <= last.end => {}
            None if end == 0 => {}
            Some(last) if last.protection == protection => last.end = end,
            _ => self.runs.push(Run { end, protection }).ok()?,
        }
        Some(())
    }

    /// Drops runs without rights at the end.
    fn trim(&mut self) {
        while self.runs.last().is_some_and(|run| run.protection.is_empty()) {
            self.runs.pop();
        }
    }

    /// Returns the bytes up to the last page with rights.
    pub(super) fn end(&self) -> usize {
        self.runs.last().map_or(0, |run| run.end as usize)
    }

    /// Tells whether bytes of the slot can be read and written.
    pub(super) fn are_writable(&self, bytes: &Range<usize>) -> bool {
        let both = Protection::READ | Protection::WRITE;
        let Ok(start) = u32::try_from(bytes.start) else { return false };
        let run = self.run_at(start);
        run.protection.contains(both) && bytes.start <= bytes.end && bytes.end <= run.end as usize
    }

    /// Tells whether bytes of the slot can be read and not written.
    pub(super) fn are_constant(&self, bytes: &Range<usize>) -> bool {
        let Ok(start) = u32::try_from(bytes.start) else { return false };
        let run = self.run_at(start);
        run.protection == Protection::READ
            && bytes.start <= bytes.end
            && bytes.end <= run.end as usize
    }

    /// Returns the runs that have any rights, with their places.
    pub(super) fn accessible(&self) -> impl Iterator<Item = PageRun> {
        let mut start = 0;
        self.runs.iter().filter_map(move |run| {
            let offset = core::mem::replace(&mut start, run.end) as usize;
            let bytes = run.end as usize - offset;
            let protection = run.protection;
            (!protection.is_empty()).then_some(PageRun { offset, bytes, protection })
        })
    }

    /// Returns how far the rights at `offset` reach, and which they are.
    fn run_at(&self, offset: u32) -> Run {
        let behind = Run { end: u32::MAX, protection: Protection::empty() };
        self.runs.iter().copied().find(|run| offset < run.end).unwrap_or(behind)
    }
}

/// Pages that have the same rights now, and shall have the same.
#[derive(Debug, Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
    now: Protection,
    wanted: Protection,
}

impl Cell {
    fn is_pending(&self) -> bool {
        self.now != self.wanted
    }
}

/// The changes that turn rights into others, in order; each is one call to the system.
///
/// Read-only is laid under what lies between two read-only runs and changes anyway: `R`, `RX`, `R`
/// takes two changes instead of three. Only read-only is: no page is writable or executable even
/// for a moment that shall not be.
#[derive(Debug)]
pub(super) struct Changes {
    cells: heapless::Vec<Cell, { 2 * MAX_RUNS }>,
}

impl Changes {
    /// Compares two lists.
    pub(super) fn new(now: &Rights, wanted: &Rights) -> Self {
        let mut cells = heapless::Vec::new();
        let end = now.end().max(wanted.end());
        let mut start = 0;
        while (start as usize) < end {
            let (old, new) = (now.run_at(start), wanted.run_at(start));
            let next = old.end.min(new.end);
            let cell = Cell { start, end: next, now: old.protection, wanted: new.protection };
            if cells.push(cell).is_err() {
                // Cannot be: a cell ends where a run of one of the lists does.
                break;
            }
            start = next;
        }
        Self { cells }
    }
}

impl Iterator for Changes {
    type Item = PageRun;

    fn next(&mut self) -> Option<PageRun> {
        let first = self.cells.iter().position(Cell::is_pending)?;
        let cells = self.cells.get_mut(first..)?;
        let Cell { start, wanted, .. } = *cells.first()?;
        let is_background = wanted == Protection::READ;
        let last = cells
            .iter()
            .take_while(|cell| cell.wanted == wanted || is_background && cell.is_pending())
            .enumerate()
            .filter(|(_, cell)| cell.wanted == wanted && cell.is_pending())
            .last()
            .map_or(0, |(index, _)| index);
        let cells = cells.get_mut(..=last)?;
        let end = cells.last()?.end;
        cells.iter_mut().for_each(|cell| cell.now = wanted);
        let (offset, bytes) = (start as usize, (end - start) as usize);
        Some(PageRun { offset, bytes, protection: wanted })
    }
}
