//! What people and programs get to read, character by character.

use host_runner::compare::{Mismatch, Tolerance};
use host_runner::number::Number;

use super::*;

fn result(name: &str, milliseconds: &[u64], outcome: Outcome) -> CaseResult {
    let times = milliseconds.iter().copied().map(Duration::from_millis).collect();
    CaseResult { name: name.into(), tasks: 5, loads: 1, times, outcome }
}

fn mismatched() -> Outcome {
    let mismatch = Mismatch {
        differing: 2,
        total: 16,
        index: vec![3, 1],
        got: Number::Float(1.5),
        expected: Number::Float(1.0),
        largest_difference: 0.75,
        tolerance: Tolerance { relative: 1e-5, absolute: 0.0 },
    };
    Outcome::Mismatched { round: 2, tensors: vec![("f".into(), mismatch)] }
}

const PASSED: Outcome = Outcome::Passed { compared: 1, outputs: 1 };

#[test]
fn the_table_is_aligned_and_problems_follow_it() {
    let failed = Outcome::Failed { round: 1, message: "timed out: after 2 s".into() };
    let unchecked = Outcome::Passed { compared: 0, outputs: 2 };
    let results = [
        result("default", &[2], PASSED),
        result("large", &[2, 1, 4], mismatched()),
        result("x", &[], failed),
        result("free", &[12], unchecked),
    ];
    let expected = "\
case     runtime  tasks                          time per run  result
default  hbg          5                               2.00 ms  ok
large    hbg          5  2.00 ms (p90 4.00 ms, first 2.00 ms)  FAILED
x        hbg          5                                     -  FAILED
free     hbg          5                               12.0 ms  ok
large: round 2: f[3, 1] is 1.5, expected 1.0; 2 of 16 differ, the largest difference is 0.75 \
(rtol 1e-5, atol 0.0)
x: round 1: timed out: after 2 s
free: 0 of 2 outputs have an expected value
";
    assert_eq!(table(RuntimeName::Hbg, &results, Colour::Plain), expected);
}

#[test]
fn colour_is_there_on_request_only() {
    let results = [result("a", &[1], PASSED), result("b", &[1], mismatched())];
    assert!(!table(RuntimeName::Hbg, &results, Colour::Plain).contains('\u{1b}'));
    let coloured = table(RuntimeName::Hbg, &results, Colour::Ansi);
    assert!(coloured.contains("\u{1b}[38;5;10mok"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[38;5;9mFAILED"), "{coloured:?}");
}

#[test]
fn a_passed_case_is_one_json_object_without_error() {
    let times: Vec<u64> = (1..=10).rev().collect();
    let line =
        json_line(PlatformName::A5Sim, RuntimeName::Trb, &result("default", &times, PASSED), None);
    let expected = r#"{"case":"default","platform":"a5sim","runtime":"trb","ok":true,"rounds":10,"tasks":5,"loads":1,"run_ns":{"p50":5000000,"p90":9000000,"first":10000000}}"#;
    assert_eq!(line, expected);
}

#[test]
fn a_failed_case_says_why() {
    let line = json_line(
        PlatformName::A5Sim,
        RuntimeName::Trb,
        &result("large", &[1, 1], mismatched()),
        None,
    );
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["ok"], false);
    assert_eq!(value["error"]["code"], "mismatch");
    let message = value["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("large: round 2: f[3, 1] is 1.5"), "{message}");

    let failed = Outcome::Failed { round: 1, message: "no \"kernel\"\n".into() };
    let value: serde_json::Value = serde_json::from_str(&json_line(
        PlatformName::A5Sim,
        RuntimeName::Trb,
        &result("x", &[], failed),
        None,
    ))
    .unwrap();
    assert_eq!(value["run_ns"], serde_json::Value::Null);
    assert_eq!(value["error"]["code"], "run");
}

#[test]
fn a_failure_before_the_first_case_has_no_name() {
    let value: serde_json::Value =
        serde_json::from_str(&json_failure(PlatformName::A5Sim, "build", "no compiler")).unwrap();
    assert_eq!(value["case"], serde_json::Value::Null);
    assert_eq!((&value["platform"], &value["runtime"]), (&"a5sim".into(), &().into()));
    assert_eq!((&value["ok"], &value["rounds"]), (&false.into(), &0.into()));
    assert_eq!(value["error"]["message"], "no compiler");
}

#[test]
fn percentiles_are_by_nearest_rank() {
    let of = |milliseconds: &[u64]| {
        let times: Vec<_> = milliseconds.iter().copied().map(Duration::from_nanos).collect();
        RunTimes::of(&times).map(|times| (times.p50, times.p90, times.first))
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[7]), Some((7, 7, 7)));
    assert_eq!(of(&[9, 1]), Some((1, 9, 9)));
    assert_eq!(of(&[3, 1, 2]), Some((2, 3, 3)));
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(of(&hundred), Some((50, 90, 1)));
}

#[test]
fn times_have_a_natural_unit() {
    let check = |nanoseconds: u64, text: &str| assert_eq!(short_time(nanoseconds), text);
    check(0, "0 ns");
    check(999, "999 ns");
    check(1_000, "1.00 µs");
    check(12_340, "12.3 µs");
    check(123_400, "123 µs");
    check(1_234_000, "1.23 ms");
    check(5_000_000_000, "5.00 s");
}
