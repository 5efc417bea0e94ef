//! The parts of the loader bench that others rely on: its statistics, the keys of its JSON file,
//! its targets and its count of system calls. The bench itself checks what it loads.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "../benches/loader/record.rs"]
mod record;
#[path = "../benches/loader/statistics.rs"]
mod statistics;
#[path = "../benches/loader/system_calls.rs"]
mod system_calls;
#[path = "../benches/loader/targets.rs"]
mod targets;

use serde_json::json;

use record::{Image, Record, Row, Setting, SystemCalls, Target};
use statistics::Summary;
use system_calls::Repetitions;

/// The ids that the issue names, in its order.
const IDS: [&str; 11] = [
    "cold_vs_glibc",
    "cold_vs_staged",
    "warm_vs_glibc",
    "hidden_vs_glibc",
    "same_layout_vs_glibc",
    "same_layout_syscalls",
    "rotation_vs_glibc",
    "sibling_p90",
    "big_file_vs_glibc",
    "big_warm_vs_staged",
    "dedup_31k_ns",
];

/// A row whose p90 is twice its median.
fn row(method: &'static str, image: &'static str, median: u64) -> Row {
    let nanoseconds: Vec<u64> = (0..10).map(|n| if n < 6 { median } else { 2 * median }).collect();
    Row::of(method, image, &nanoseconds).unwrap()
}

#[test]
fn median_and_p90_are_values_that_so_many_operations_do_not_exceed() {
    #[track_caller]
    fn check(nanoseconds: &[u64], median: u64, p90: u64) {
        let summary = Summary::of(nanoseconds).unwrap();
        assert_eq!((summary.median, summary.p90), (median, p90), "{nanoseconds:?}");
    }
    check(&[7], 7, 7);
    check(&[9, 1], 1, 9);
    check(&[3, 1, 2], 2, 3);
    check(&[4, 3, 2, 1], 2, 4);
    check(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 5, 9);
    check(&(1..=11).collect::<Vec<_>>(), 6, 10);
    check(&(1..=1_000).rev().collect::<Vec<_>>(), 500, 900);
}

#[test]
fn an_interrupted_operation_shows_in_the_maximum_alone() {
    let mut nanoseconds = vec![100; 99];
    nanoseconds.push(10_000_000);
    let expected = Summary { median: 100, p90: 100, min: 100, max: 10_000_000, rounds: 100 };
    assert_eq!(Summary::of(&nanoseconds), Some(expected));
}

#[test]
fn without_operations_there_is_no_summary_and_no_row() {
    assert_eq!(Summary::of(&[]), None);
    assert_eq!(Row::of("glibc", "small", &[]), None);
}

#[test]
fn the_json_file_has_the_documented_keys_and_no_others() {
    let record = Record {
        bench: "loader",
        quick: true,
        setting: Setting { pinned: true, raised: false, files_in_memory: true },
        images: vec![Image {
            image: "small",
            file_bytes: 1,
            span_bytes: 2,
            relative: 3,
            symbolic: 4,
            imports: 5,
            exports: 6,
        }],
        rows: vec![row("glibc", "small", 10)],
        system_calls: vec![SystemCalls { method: "glibc", image: "small", per_load: 11.5 }],
        targets: vec![
            Target { id: "sibling_p90", measured: Some(1.25), unit: "ratio", target: 1.15 },
            Target { id: "dedup_31k_ns", measured: None, unit: "ns", target: 2500.0 },
        ],
    };
    let expected = json!({
        "bench": "loader",
        "quick": true,
        "setting": { "pinned": true, "raised": false, "files_in_memory": true },
        "images": [{
            "image": "small", "file_bytes": 1, "span_bytes": 2, "relative": 3, "symbolic": 4,
            "imports": 5, "exports": 6,
        }],
        "rows": [{
            "method": "glibc", "image": "small", "median": 10, "p90": 20, "min": 10,
            "max": 20, "unit": "ns", "rounds": 10,
        }],
        "system_calls": [{ "method": "glibc", "image": "small", "per_load": 11.5 }],
        "targets": [
            { "id": "sibling_p90", "measured": 1.25, "unit": "ratio", "target": 1.15 },
            { "id": "dedup_31k_ns", "measured": null, "unit": "ns", "target": 2500.0 },
        ],
    });
    assert_eq!(serde_json::to_value(&record).unwrap(), expected);
}

#[test]
fn without_rows_every_target_is_there_and_open() {
    let targets = targets::measure(&[], &[]);
    assert_eq!(targets.iter().map(|target| target.id).collect::<Vec<_>>(), IDS);
    for target in targets {
        assert_eq!((target.measured, target.is_met()), (None, None), "{}", target.id);
    }
}

#[test]
fn each_target_is_measured_on_the_rows_that_it_speaks_of() {
    let rows = [
        row("glibc", "small", 1_000),
        row("staged_dlopen", "small", 2_000),
        row("ours_cold", "small", 600),
        // Of other images, which are not asked for.
        row("ours_cold", "small_relr", 1),
        row("ours_warm_changed", "small", 350),
        row("ours_warm_hidden", "small", 171),
        row("ours_warm_same", "small", 30),
        row("ours_rotation", "small", 90),
        row("ours_warm_same_alone", "small", 50),
        row("ours_warm_same_with_sibling", "small", 60),
        row("glibc", "big", 3_000),
        row("staged_dlopen", "big", 30_000),
        row("ours_file", "big", 1_000),
        row("ours_warm_same", "big", 3_000),
        row("dedup_equal", "small", 2_501),
    ];
    let calls = |method, per_load| SystemCalls { method, image: "small", per_load };
    let targets = targets::measure(&rows, &[calls("glibc", 10.0), calls("ours_warm_same", 0.0)]);
    let seen: Vec<_> =
        targets.iter().map(|t| (t.id, t.measured.unwrap(), t.unit, t.is_met().unwrap())).collect();
    let expected = [
        ("cold_vs_glibc", 0.6, "ratio", true),
        ("cold_vs_staged", 0.3, "ratio", true),
        ("warm_vs_glibc", 0.35, "ratio", true),
        ("hidden_vs_glibc", 0.171, "ratio", false),
        ("same_layout_vs_glibc", 0.03, "ratio", true),
        ("same_layout_syscalls", 0.0, "calls", true),
        ("rotation_vs_glibc", 0.09, "ratio", true),
        ("sibling_p90", 1.2, "ratio", false),
        ("big_file_vs_glibc", 0.3333, "ratio", true),
        ("big_warm_vs_staged", 0.1, "ratio", true),
        ("dedup_31k_ns", 2_501.0, "ns", false),
    ];
    assert_eq!(seen, expected);
}

/// After two that are not counted.
const TEN: Repetitions = Repetitions { warm_up: 2, counted: 10 };

/// One system call, and nothing else.
fn ask_for_the_parent() -> bool {
    // SAFETY: takes nothing and changes nothing.
    unsafe { libc::syscall(libc::SYS_getppid) >= 0 }
}

#[test]
fn system_calls_are_counted_exactly() {
    for calls in 0..4 {
        let mut operation = || (0..calls).all(|_| ask_for_the_parent());
        // Where nothing may be traced, only their absence can be proved.
        match system_calls::count(&mut operation, TEN).unwrap() {
            Some(counted) => assert_eq!(counted, f64::from(calls)),
            None => assert_ne!(calls, 0),
        }
    }
}

#[test]
fn a_process_that_may_make_no_system_call_lives_only_without_them() {
    assert!(system_calls::makes_none(&mut || true, TEN).unwrap());
    assert!(!system_calls::makes_none(&mut ask_for_the_parent, TEN).unwrap());
}

#[test]
fn an_operation_that_fails_is_not_counted() {
    let error = system_calls::count(&mut || false, TEN).unwrap_err().to_string();
    assert!(error.contains("an operation failed"), "{error}");
}
