//! Compiled orchestrations and what they import: shared objects made with the compiler's command
//! line of the reference (spec trb §1.1) load here, and use the C and C++ run time as in any program.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use aicpu_executor::loader::PlanError;
use host_runner::callable::Callable;
use host_runner::device::OrchestrationError;
use host_runner::device::resident_symbols::ResidentSymbols;
use host_runner::registry::RegisterError;
use host_runner::worker::Worker;
use tempfile::tempdir;
use tests::workers::{Cells, SENTINEL, assert_works, open, threads};

#[path = "sdk/image.rs"]
#[allow(dead_code, reason = "shared with the tests of the SDK")]
mod image;
#[path = "sdk/toolchain.rs"]
#[allow(dead_code, reason = "shared with the tests of the SDK")]
mod toolchain;

use toolchain::{Build, root, support};

/// The entries of `imports.cpp`, and what each writes.
const FAMILIES: [(&str, &[u64]); 9] = [
    ("memory", &[7, 0, 1, 0, 3, 1, 0, 1]),
    ("containers", &[999, 499_500, 100, 13, 500, 998, 0, 999, 0]),
    ("text", &[18, 1, 2, 95, u64::MAX, 427, 1, 500, 1009, 1]),
    ("exceptions", &[1, 0, 1, 42, 43, 1, 1, 1]),
    ("types", &[4, 1, 1, 1, 1, 1, 1]),
    ("ownership", &[45, 2, 7, 0, 4]),
    ("statics", &[2, 50, 1]),
    ("numbers", &[12, 1 << 40, 3, 10, 2, 2718, 761, 3, 4]),
    ("clocks", &[1, 1, 1, 1, 1]),
];

/// An image of a source with the reference's options, which are this project's too.
fn standard(source: &str) -> Vec<u8> {
    tests::sources::orchestration(source)
}

/// An image of `imports.cpp` with as many imports as possible: without optimisation, and with static
/// data of inline functions bound "unique", which the reference's options leave open (spec trb §1.1).
fn plain() -> &'static [u8] {
    static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempdir().unwrap();
        let output = folder.path().join("imports.so");
        let source = root().join("tests/data/orchestrations/imports.cpp");
        let build = Build::orchestration("c++17").flags(&["-O0", "-fgnu-unique"]);
        let finished = build.source(&source).source(&support()).into_file(&output);
        assert!(finished.accepted, "{}", finished.text);
        let image = fs::read(output).unwrap();
        assert!(!image::parse(image.clone()).unique.is_empty(), "nothing is bound unique");
        image
    });
    &IMAGE
}

/// Runs an entry of an image twice, and compares what it writes.
#[track_caller]
fn check(worker: &Worker, image: &[u8], entry: &str, expected: &[u64]) {
    let callable = Callable::builder(image.to_vec()).name(entry).entry(entry).build().unwrap();
    let handle = worker.register(&callable).unwrap_or_else(|error| panic!("{entry}: {error:?}"));
    for aicpu_threads in [1, 3] {
        let cells = vec![SENTINEL; expected.len() + 1];
        let mut passed = Cells { cells, ..Cells::default() };
        passed.run(worker, &handle, &threads(aicpu_threads)).unwrap();
        let (written, rest) = passed.cells.split_at(expected.len());
        assert_eq!((written, rest), (expected, [SENTINEL].as_slice()), "{entry}");
    }
    worker.unregister(&handle).unwrap();
}

#[test]
fn every_family_of_the_run_time_works_in_objects_of_every_kind() {
    let worker = open();
    for image in [&standard("imports"), plain()] {
        for (entry, expected) in FAMILIES {
            check(&worker, image, entry, expected);
        }
    }
    assert_works(&worker, &threads(3));
}

/// Names of the list, with their comments removed.
fn listed() -> BTreeSet<String> {
    let text = include_str!("../data/imports.txt");
    let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn everything_that_orchestrations_are_known_to_import_is_offered() {
    let symbols = ResidentSymbols::open();
    let names = listed();
    assert!(names.len() > 150, "{} names", names.len());
    let missing: Vec<_> =
        names.iter().filter(|name| symbols.address(name.as_bytes()).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_this_compiler_makes_of_sources_of_users_is_offered_too() {
    let images = ["graphs", "faults", "spmd", "hazards", "interpreter", "errors", "imports"];
    let mut imported: BTreeSet<_> = image::parse(plain().to_vec()).imports.into_iter().collect();
    imported.extend(images.iter().flat_map(|name| image::parse(standard(name)).imports));
    let listed = listed();
    assert!(imported.intersection(&listed).count() > 100, "{}", imported.len());
    // Another compiler than the list's may import more; what matters is that it is offered.
    let symbols = ResidentSymbols::open();
    let is_missing = |name: &&String| symbols.address(name.as_bytes()).is_none();
    let missing: Vec<_> = imported.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What is not offered is refused when the callable is registered, all of it at once and by name.
#[test]
fn what_is_not_offered_is_refused_by_name_with_what_to_do() {
    let worker = open();
    for (source, parts) in [
        ("missing_import", ["open_the_window", "link the code in, or do without"]),
        ("thread_local", ["tile_cursor", "thread"]),
        ("calls_once", ["_ZSt15__once_callable", "thread"]),
    ] {
        let callable = Callable::builder(standard(source)).name(source).build().unwrap();
        let error = worker.register(&callable).unwrap_err();
        let RegisterError::Orchestration { source: cause, .. } = &error else {
            panic!("{error:?}")
        };
        let is_typed = matches!(
            cause,
            OrchestrationError::Unresolved { .. }
                | OrchestrationError::Plan(PlanError::ThreadLocal { .. })
        );
        assert!(is_typed, "{cause:?}");
        let text = format!("{error}: {cause}");
        for part in parts {
            assert!(text.contains(part), "{source}: {part:?} is missing in: {text}");
        }
        assert_works(&worker, &threads(2));
    }
}
