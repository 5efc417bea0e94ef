//! Rights: from any layout to any other, in as few calls as that takes, and never both W and X.

use std::borrow::ToOwned;
use std::vec::Vec;

use aicpu_executor::loader::Protection;

use super::super::rights::{Changes, Rights};

/// One letter a page: `-` none, `r` read-only, `w` writable, `x` executable.
fn rights(pages: &str) -> Rights {
    pages.bytes().enumerate().fold(Rights::none(), |rights, (index, letter)| {
        rights.with(&(index * 4096..(index + 1) * 4096), protection(letter)).unwrap()
    })
}

fn protection(letter: u8) -> Protection {
    match letter {
        b'r' => Protection::READ,
        b'w' => Protection::READ | Protection::WRITE,
        b'x' => Protection::READ | Protection::EXECUTE,
        _ => Protection::empty(),
    }
}

/// The changes that turn one into the other, and what pages they have touched.
fn changes(now: &str, wanted: &str) -> Vec<(usize, usize, Protection)> {
    Changes::new(&rights(now), &rights(wanted))
        .map(|run| (run.offset / 4096, run.bytes / 4096, run.protection))
        .collect()
}

#[test]
fn equal_rights_need_no_change() {
    assert_eq!(changes("rrxxrw--", "rrxxrw"), []);
    assert_eq!(rights("rrxxrw--"), rights("rrxxrw"));
}

#[test]
fn ordinary_changes_take_as_few_calls_as_they_can() {
    let rows: [(&str, &str, usize); 10] = [
        ("", "rrxxrrww", 3),
        ("wwwwwwww", "rrxxrrww", 2),
        ("rrxxrrww", "wwwwwwww", 1),
        ("rrxxrrww", "", 1),
        ("rxrw", "rrxxrrww", 3),
        ("rrxxrrww", "rxrw", 4),
        ("wwww----", "r-x-r-ww", 5),
        ("rrxxrrww", "rrxxrrwww", 1),
        ("rrxxrrww", "rrxxrrrw", 1),
        ("xrxrx", "rxrxr", 3),
    ];
    for (now, wanted, calls) in rows {
        let found = changes(now, wanted);
        assert_eq!(found.len(), calls, "{now} -> {wanted}: {found:?}");
    }
}

/// Every change of every pair of layouts of five pages, done one by one on a model of the pages.
#[test]
fn every_change_ends_with_the_wanted_rights_and_gives_no_other_page_more() {
    let letters = [b'-', b'r', b'w', b'x'];
    let all: Vec<Vec<u8>> = (0..4_usize.pow(5))
        .map(|number| (0..5).map(|page| letters[number / 4_usize.pow(page) % 4]).collect())
        .collect();
    for (index, now) in all.iter().enumerate() {
        // Every layout with a few others: all pairs are a million.
        for wanted in all.iter().skip(index % 17).step_by(17) {
            let text = |pages: &[u8]| core::str::from_utf8(pages).unwrap().to_owned();
            let (from, to) = (text(now), text(wanted));
            let mut pages: Vec<Protection> = now.iter().map(|letter| protection(*letter)).collect();
            let made = changes(&from, &to);
            for (start, count, protection) in &made {
                let changed = &mut pages[*start..start + count];
                changed.fill(*protection);
                if *protection != Protection::READ {
                    let meant = &wanted[*start..start + count];
                    let all_meant = meant.iter().all(|each| self::protection(*each) == *protection);
                    assert!(all_meant, "{from} -> {to}: {made:?}");
                }
            }
            let expected: Vec<_> = wanted.iter().map(|letter| protection(*letter)).collect();
            assert_eq!(pages, expected, "{from} -> {to}: {made:?}");
            let differing = now.iter().zip(wanted).filter(|(now, wanted)| now != wanted).count();
            assert!(made.len() <= differing, "{from} -> {to}: {made:?}");
        }
    }
}

#[test]
fn writable_and_executable_together_is_no_list_of_rights() {
    let both = Protection::WRITE | Protection::EXECUTE;
    for protection in [both, both | Protection::READ] {
        assert_eq!(Rights::none().with(&(0..4096), protection), None);
    }
}

#[test]
fn only_pages_that_are_all_writable_count_as_writable() {
    let list = rights("rwwxw");
    let page = |first: usize, last: usize| first * 4096..last * 4096;
    for (range, expected) in [
        (page(1, 3), true),
        (4100..4100, true),
        (page(0, 2), false),
        (page(2, 4), false),
        (page(4, 5), true),
        (page(4, 6), false),
        (page(9, 9), false),
        (usize::MAX - 1..usize::MAX, false),
    ] {
        assert_eq!(list.are_writable(&range), expected, "{range:?}");
    }
}
