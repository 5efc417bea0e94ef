//! The rights that the pages of a reservation have, in a list of fixed size.
//!
//! It exists so that a write to a sealed page is an error and not a fault. A bit per page would
//! need an allocator; but an image changes rights only a few times, by ranges. So the list keeps
//! the changes, oldest first, and the newest one that has a page says what the page is.

use core::ops::Range;

use aicpu_executor::loader::Protection;

/// Changes that are kept. The loader asks for one per segment, one per gap in front of a segment
/// and one for RELRO: 33 with the 16 segments that an image may have.
pub(crate) const MAX_CHANGES: usize = 40;

/// Rights of all pages from number 0 on.
#[derive(Debug)]
pub(crate) struct PageRights {
    count: u32,
    changes: heapless::Vec<Change, MAX_CHANGES>,
}

/// Pages that were given rights together.
#[derive(Debug)]
struct Change {
    first: u32,
    end: u32,
    rights: Protection,
}

impl PageRights {
    /// `count` pages that are readable and writable.
    pub(crate) const fn new(count: u32) -> Self {
        Self { count, changes: heapless::Vec::new() }
    }

    /// Whether all these pages exist and have `needed`.
    pub(crate) fn allow(&self, pages: Range<usize>, needed: Protection) -> bool {
        self.narrow(pages).is_some_and(|mut pages| pages.all(|page| self.of(page).contains(needed)))
    }

    /// Gives pages these rights; false, and nothing is changed, if a page does not exist or there
    /// is no room for another change.
    #[must_use]
    pub(crate) fn set(&mut self, pages: Range<usize>, rights: Protection) -> bool {
        let Some(Range { start: first, end }) = self.narrow(pages) else { return false };
        if first == end {
            return true;
        }
        // What is overwritten as a whole makes room; if something was, the push succeeds.
        self.changes.retain(|old| old.first < first || end < old.end);
        self.changes.push(Change { first, end, rights }).is_ok()
    }

    /// The same range in the numbers of the list, if all of it exists.
    fn narrow(&self, pages: Range<usize>) -> Option<Range<u32>> {
        let first = u32::try_from(pages.start).ok()?;
        let end = u32::try_from(pages.end).ok()?;
        (first <= end && end <= self.count).then_some(first..end)
    }

    /// Rights of one page.
    fn of(&self, page: u32) -> Protection {
        let newest = self.changes.iter().rev().find(|each| each.first <= page && page < each.end);
        newest.map_or(Protection::READ | Protection::WRITE, |change| change.rights)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WRITABLE: Protection = Protection::READ.union(Protection::WRITE);

    #[test]
    fn pages_are_writable_until_changed_and_do_not_exist_behind_the_last() {
        let mut rights = PageRights::new(3);
        assert!(rights.allow(0..3, WRITABLE));
        assert!(rights.allow(3..3, WRITABLE), "no page, no objection");
        assert!(!rights.allow(2..4, Protection::empty()));
        assert!(!rights.allow(4..4, Protection::empty()));
        assert!(!rights.set(3..4, Protection::READ));
        assert!(!rights.set(0..usize::MAX, Protection::READ));
        assert!(rights.allow(0..3, WRITABLE), "what was refused changed nothing");
    }

    #[test]
    fn a_full_list_refuses_a_change_and_keeps_what_it_knows() {
        let mut rights = PageRights::new(1000);
        for change in 0..MAX_CHANGES {
            assert!(rights.set(2 * change..2 * change + 1, Protection::READ), "{change}");
        }
        assert!(!rights.set(998..999, Protection::READ));
        assert!(rights.allow(998..999, WRITABLE));
        assert!(!rights.allow(0..1, WRITABLE));
        assert!(rights.set(500..500, Protection::READ), "nothing to keep");
        assert!(rights.set(0..3, WRITABLE), "two changes less, one more");
        assert!(rights.set(998..999, Protection::READ));
        assert!(!rights.set(996..997, Protection::READ));
        assert!(rights.allow(0..4, WRITABLE) && !rights.allow(0..5, WRITABLE));
    }

    proptest! {
        #[test]
        fn any_changes_leave_each_page_as_a_table_of_pages_has_it(
            changes in prop::collection::vec((0_usize..20, 0_usize..20, 0_u8..8), 0..MAX_CHANGES)
        ) {
            let mut rights = PageRights::new(20);
            let mut table = [WRITABLE; 20];
            for (one, other, bits) in changes {
                let pages = one.min(other)..one.max(other);
                let given = Protection::from_bits_truncate(bits);
                prop_assert!(rights.set(pages.clone(), given));
                table[pages].fill(given);
            }
            for (page, &expected) in table.iter().enumerate() {
                for bits in 0..8 {
                    let needed = Protection::from_bits_truncate(bits);
                    let allowed = rights.allow(page..page + 1, needed);
                    prop_assert_eq!(allowed, expected.contains(needed), "{} {:?}", page, needed);
                }
            }
        }
    }
}
