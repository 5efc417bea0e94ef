//! Ring sizes from the environment (spec trb §2.4), as a user of the command sets them: they reach
//! the executor, those that make no sense are ignored and named, and those beyond reason are errors.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::Path;
use std::process::Output;

use program::{check, program};

mod program;

/// Runs an example with these variables.
fn run(example: &str, variables: &[(&str, &str)]) -> Output {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples");
    let mut command = program();
    command.envs(variables.iter().copied()).arg("run").arg(examples.join(example));
    command.output().unwrap()
}

/// Checks the exit code; returns all that was printed.
#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let (printed, message) = check(output, code);
    printed + &message
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

const WINDOW: &str = "PTO2_RING_TASK_WINDOW";
const HEAP: &str = "PTO2_RING_HEAP";
const POOL: &str = "PTO2_RING_DEP_POOL";

/// Each size alone is too small for `vector_add`, is said to be, and is named in the remedy; what
/// the remedies lead to is enough.
#[test]
fn each_size_reaches_the_executor_and_its_remedy_leads_to_a_run_that_passes() {
    for (variable, smallest, status) in [
        (WINDOW, "4", "SCOPE_DEADLOCK"),
        (HEAP, "1024", "HEAP_RING_DEADLOCK"),
        (POOL, "4", "DEP_POOL_OVERFLOW"),
    ] {
        let mut size = smallest.to_owned();
        let mut failures = 0;
        loop {
            let output = run("vector_add", &[(variable, &size)]);
            if output.status.success() {
                break;
            }
            let text = text(&output, 1);
            assert_contains(&text, &[status]);
            let named = text.split_once(&format!("set {variable} to ")).unwrap().1;
            let named = named.split(' ').next().unwrap();
            assert!(named.parse::<u64>().unwrap() > size.parse().unwrap(), "{text}");
            named.clone_into(&mut size);
            failures += 1;
            assert!(failures < 6, "{text}");
        }
        assert!(failures > 0, "{variable}={smallest} has no effect");
    }
}

#[test]
fn the_smallest_sizes_together_carry_a_graph_that_fits() {
    let sizes = [(WINDOW, "4"), (HEAP, "1024"), (POOL, "4")];
    let text = text(&run("mixed_cluster", &sizes), 0);
    assert!(!text.contains("ignored"), "{text}");
}

#[test]
fn sizes_that_make_no_sense_are_ignored_with_a_warning_and_the_defaults_hold() {
    for (variable, value, rule) in [
        (WINDOW, "5", "must be at least 4 and a power of two"),
        (WINDOW, "2", "must be at least 4 and a power of two"),
        (WINDOW, "many", "must be at least 4 and a power of two"),
        (HEAP, "2621440", "must be at least 1024 and a power of two"),
        (HEAP, "512", "must be at least 1024 and a power of two"),
        (HEAP, "-1", "must be at least 1024 and a power of two"),
        (POOL, "3", "must be at least 4"),
        (POOL, "99999999999999999999", "must be at least 4"),
    ] {
        let text = text(&run("vector_add", &[(variable, value)]), 0);
        assert_contains(&text, &[&format!("{variable}={value} is ignored"), rule, "WARN"]);
    }
    let text = text(&run("vector_add", &[(WINDOW, ""), (HEAP, "")]), 0);
    assert!(!text.contains("ignored"), "{text}");
}

#[test]
fn sizes_beyond_reason_are_errors_that_name_them() {
    for (variable, value, parts) in [
        (WINDOW, "134217728", ["a task window of 134217728", "from 4 to 2^26"]),
        (POOL, "2000000000", ["a dependency pool of 2000000000", "less than 2^30 - 1"]),
        (HEAP, "1152921504606846976", ["no device memory for", "make the rings smaller"]),
    ] {
        let text = text(&run("vector_add", &[(variable, value)]), 1);
        assert_contains(&text, &parts);
    }
}
