//! The table of the weaknesses, and the test that it is complete and that its tests are there.

use std::collections::BTreeMap;
use std::fs;

use tests::sources::repository;

#[path = "table/correctness.rs"]
mod correctness;
#[path = "table/robustness.rs"]
mod robustness;

/// One weakness of spec callable §7.
struct Hole {
    /// As the specification calls it.
    name: &'static str,
    /// What goes wrong there.
    what: &'static str,
    /// Why it does not here.
    answer: &'static str,
    /// Where that is tested: file and name of each test, which begins with the name of the weakness.
    tests: &'static [(&'static str, &'static str)],
    /// Of what there is nothing to test yet.
    open: Option<&'static str>,
}

/// What the specification calls them.
fn names() -> Vec<String> {
    let h = (1..=17).flat_map(|number| match number {
        8 => vec!["H8".to_owned(), "H8b".to_owned()],
        _ => vec![format!("H{number}")],
    });
    let s = (1..=9).map(|number| format!("S{number}"));
    let p = (1..=6).map(|number| format!("P{number}"));
    let r = (9..=13).map(|number| format!("R{number}"));
    h.chain(s).chain(p).chain(r).collect()
}

#[test]
fn every_hole_has_a_row_and_every_test_of_a_row_is_there() {
    let holes = || correctness::ROWS.iter().chain(robustness::ROWS);
    let rows: Vec<_> = holes().map(|hole| hole.name.to_owned()).collect();
    assert_eq!(rows, names());
    let mut used = BTreeMap::new();
    for Hole { name, what, answer, tests, open } in holes() {
        assert!(what.ends_with('.') && answer.ends_with('.'), "{name}: a sentence is missing");
        assert!(!tests.is_empty() || open.is_some(), "{name} has neither a test nor a reason");
        for (file, test) in *tests {
            assert_eq!(used.insert(test, name), None, "{test} has two rows");
            let begins = format!("{}_", name.to_lowercase());
            assert!(test.starts_with(&begins), "{test} is not named after {name}");
            let text = fs::read_to_string(repository().join(file)).unwrap();
            let is_there = text.contains(&format!("#[test]\nfn {test}()"))
                || text.contains(&format!("#[test]\n    fn {test}()"));
            assert!(is_there, "{file} has no test {test}");
        }
    }
}
