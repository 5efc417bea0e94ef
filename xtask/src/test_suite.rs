//! `cargo xtask test`: runs the suites, and adds up what their runners counted.
//!
//! The last line is `N passed, N failed` over all test programs. Everything runs even if something
//! fails. Debug builds: overflow checks and debug assertions are part of the tests.

use anyhow::{Result, bail};

use crate::cross::Machine;
use crate::device_program;
use crate::firmware::with_log_frames;
use crate::process::{cargo, root, run_and_watch};

/// A named part of the tests: what to pass to cargo, once for each list.
struct Suite {
    name: &'static str,
    runs: &'static [&'static [&'static str]],
}

/// What runs if no suite is named: the default members, and the firmware's parts that can run on a
/// host.
const ALL: Suite = Suite {
    name: "all",
    runs: &[&["test", "--no-fail-fast"], &["test", "--no-fail-fast", "-p", "aicpu-firmware"]],
};

const SUITES: &[Suite] = &[
    Suite { name: "unit", runs: &[&["test", "--no-fail-fast", "--lib", "--bins"]] },
    Suite {
        name: "layout",
        runs: &[&["test", "-p", "tests", "--test", "layout", "--", "--nocapture"]],
    },
    Suite { name: "tests", runs: &[&["test", "--no-fail-fast", "-p", "tests"]] },
    Suite { name: "doc", runs: &[&["test", "--no-fail-fast", "--doc"]] },
    Suite {
        name: "cycles",
        runs: &[&[
            "test",
            "--release",
            "--config",
            "env.TESTS_CYCLES='10000'",
            "-p",
            "tests",
            "--test",
            "callable_cycles",
            "--",
            "--nocapture",
        ]],
    },
    Suite {
        name: "graph-runs",
        runs: &[&[
            "test",
            "--release",
            "--config",
            "env.TESTS_GRAPH_RUNS='100'",
            "--config",
            "env.TESTS_GRAPH_TASKS='100000'",
            "-p",
            "tests",
            "--test",
            "host_graph_runs",
            "--",
            "--nocapture",
        ]],
    },
    Suite { name: "firmware", runs: &[&["test", "-p", "aicpu-firmware"]] },
];

/// What test programs counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl Counts {
    /// Reads the closing line of a test program; `None` for any other line.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (_, rest) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            rest.split("; ").find_map(|part| part.strip_suffix(word)?.trim_end().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }

    /// Adds the counts of another program.
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs the suites named, or all.
///
/// # Errors
///
/// A name that is no suite, a test that failed, or a test program that did not build or came to no
/// result.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let mut total = Counts::default();
    let mut broken = Vec::new();
    let mut closing_lines = Vec::new();
    for arguments in arguments(names)? {
        let failed_before = total.failed;
        let mut command = cargo(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        if arguments.iter().any(|argument| argument == "aicpu-firmware") {
            command = with_log_frames(command);
        }
        let succeeded = run_and_watch(&mut command, |line| {
            if let Some(counts) = Counts::of_line(line) {
                total.add(counts);
                closing_lines.push(line.trim().to_owned());
            }
        })?;
        // A build that failed, or a program that was killed, has no line of its own.
        if !succeeded && total.failed == failed_before {
            total.failed += 1;
            broken.push(format!("cargo {}", arguments.join(" ")));
        }
    }
    println!();
    if let Some(missing) = device_program::why_not(Machine::Aarch64)? {
        println!("skipped: everything that runs on aarch64: {missing}");
    }
    for line in closing_lines {
        println!("{line}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if !broken.is_empty() {
        bail!("did not build, or ended without a result: `{}`", broken.join("`, `"));
    }
    if total.failed > 0 {
        bail!("{} tests failed; their output is above", total.failed);
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// The argument lists for cargo.
fn arguments(names: &[String]) -> Result<Vec<Vec<String>>> {
    let owned = |suite: &Suite| {
        suite.runs.iter().map(|run| run.iter().map(|&part| part.to_owned()).collect()).collect()
    };
    if names.is_empty() {
        return Ok(owned(&ALL));
    }
    let mut all: Vec<Vec<String>> = Vec::new();
    for name in names {
        if let Some(suite) = SUITES.iter().find(|suite| suite.name == name) {
            let mut runs: Vec<Vec<String>> = owned(suite);
            all.append(&mut runs);
        } else if root().join("tests/tests").join(name).with_extension("rs").is_file() {
            let run = ["test", "-p", "tests", "--test", name, "--", "--nocapture"];
            all.push(run.map(str::to_owned).to_vec());
        } else {
            let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
            bail!(
                "there is no suite `{name}`; there are {}, and the files in tests/tests",
                known.join(", ")
            );
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_closing_lines_of_test_programs_and_no_others() {
        let cases = [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; \
                 finished in 0.01s",
                Some((12, 0)),
            ),
            ("test result: FAILED. 1 passed; 22 failed; 0 ignored", Some((1, 22))),
            ("test reads_12_passed ... ok", None),
            ("12 passed, 0 failed", None),
            ("test result: ok.", None),
        ];
        for (line, expected) in cases {
            let counts = Counts::of_line(line).map(|counts| (counts.passed, counts.failed));
            assert_eq!(counts, expected, "{line}");
        }
    }

    #[test]
    fn refuses_a_suite_that_does_not_exist() {
        let error = arguments(&[String::from("no_such_suite")]).unwrap_err().to_string();
        assert!(error.contains("`no_such_suite`") && error.contains("layout"), "{error}");
    }

    #[test]
    fn without_names_the_default_members_and_the_firmware_are_tested() {
        let all = arguments(&[]).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], ["test", "--no-fail-fast"]);
        assert!(all[1].iter().any(|argument| argument == "aicpu-firmware"));
    }
}
