//! The checks of `cargo xtask ci`, as a table.
//!
//! All selected checks run before the verdict: one round trip shows all failures. A check that
//! needs something that this machine lacks is skipped with a printed reason.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{self, cargo};
use crate::{
    bench, dist, examples, firmware, instrumented, readme, scenes, stand_in, test_suite, tidy,
};

/// How a check that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All was well.
    Passed,
    /// It could not run here; why, and what to do about it.
    Skipped(String),
}

/// One check.
struct Check {
    name: &'static str,
    purpose: &'static str,
    run: fn() -> Result<Outcome>,
}

/// In the order of cost, cheapest first.
const CHECKS: &[Check] = &[
    Check { name: "fmt", purpose: "formatting, as in rustfmt.toml", run: fmt },
    Check {
        name: "tidy",
        purpose: "the house rules that no compiler checks",
        run: || passed(tidy::run()),
    },
    Check { name: "clippy", purpose: "lints, with warnings denied", run: clippy },
    Check { name: "docs", purpose: "documentation, with warnings denied", run: docs },
    Check {
        name: "no-std",
        purpose: "the firmware links without std, an allocator or a C library",
        run: firmware::check,
    },
    Check {
        name: "toolchain",
        purpose: "compilers, linkers and emulator for aarch64 make a program that runs",
        run: stand_in::check,
    },
    Check {
        name: "firmware",
        purpose: "two builds of the firmware in two folders are the same bytes",
        run: firmware::check_twice,
    },
    Check { name: "loom", purpose: "all interleavings of the lock-free pieces", run: loom },
    Check { name: "test", purpose: "the fast suite", run: || passed(test_suite::run(&[])) },
    Check {
        name: "fuzz",
        purpose: "the fuzz targets compile; `cargo xtask fuzz` runs them",
        run: instrumented::check_fuzz,
    },
    Check {
        name: "asan",
        purpose: "the tests of the loader, with the address sanitizer",
        run: instrumented::asan,
    },
    Check {
        name: "scenes",
        purpose: "whole programs on the simulators of both chips, over thread counts",
        run: || passed(scenes::run(&[])),
    },
    Check {
        name: "process",
        purpose: "the small scenes on devices in processes of their own, and some for aarch64 under the emulator",
        run: scenes::check_processes,
    },
    Check {
        name: "cann",
        purpose: "the small scenes as on a chip, with a mock of the vendor's libraries and the AICPU program",
        run: scenes::check_cann,
    },
    Check {
        name: "seeds",
        purpose: "the small scenes under a few seeds of the interleaving",
        run: || passed(scenes::run_seeds(&["5".to_owned()])),
    },
    Check {
        name: "examples",
        purpose: "every example on the simulator, over thread counts and block dims",
        run: || passed(examples::run_all()),
    },
    Check {
        name: "dist",
        purpose: "the C libraries of all variants, and what they export",
        run: || passed(dist::check()),
    },
    Check {
        name: "readme",
        purpose: "the commands of README.md, as printed",
        run: || passed(readme::run()),
    },
    Check {
        name: "bench",
        purpose: "the benches run, and what they measure works; their figures are for people",
        run: || passed(bench::run_all_quickly()),
    },
    Check {
        name: "instructions",
        purpose: "the hot paths take no more instructions than before",
        run: instructions,
    },
    Check { name: "deny", purpose: "licences, bans and sources of dependencies", run: deny },
];

/// Runs the checks named, or all.
///
/// # Errors
///
/// A name that is none, or the list of the checks that failed.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| CHECKS.iter().all(|c| c.name != **name)) {
        let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        bail!("there is no check `{unknown}`; there are {}", known.join(", "));
    }
    let selected = |check: &&Check| names.is_empty() || names.iter().any(|n| n == check.name);
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for check in CHECKS.iter().filter(selected) {
        eprintln!("== {}: {}", check.name, check.purpose);
        let start = Instant::now();
        let verdict = match (check.run)() {
            Ok(Outcome::Passed) => String::from("passed"),
            Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(check.name);
                String::from("FAILED")
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        lines.push(format!("{:<9}{seconds:>7.1} s  {verdict}", check.name));
    }
    eprintln!("== checks");
    for line in lines {
        eprintln!("{line}");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// A check that is never skipped.
fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn fmt() -> Result<Outcome> {
    passed(process::run(&mut cargo(&["fmt", "--all", "--check"])))
}

fn clippy() -> Result<Outcome> {
    process::run(&mut cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]))?;
    // Apart, since it is no default member: its panic handler clashes with the std of the others.
    let firmware = ["clippy", "-p", "aicpu-firmware"];
    let arguments = [&firmware[..], &["--profile", "firmware", "--", "-D", "warnings"]].concat();
    process::run(&mut firmware::with_log_frames(cargo(&arguments)))?;
    let a5 = [&firmware[..], &["--features", "a5"]].concat();
    let arguments = [&a5[..], &["--profile", "firmware", "--", "-D", "warnings"]].concat();
    process::run(&mut firmware::with_log_frames(cargo(&arguments)))?;
    let arguments = [&firmware[..], &["--tests", "--", "-D", "warnings"]].concat();
    passed(process::run(&mut firmware::with_log_frames(cargo(&arguments))))
}

fn docs() -> Result<Outcome> {
    let arguments = ["doc", "--no-deps"];
    passed(process::run(cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings")))
}

fn loom() -> Result<Outcome> {
    // Its own target folder: the flag would rebuild everything else there and back.
    let packages = ["aicpu-executor", "host-runner"];
    let mut arguments = vec!["test", "--lib", "--release", "--target-dir", "target/loom"];
    arguments.extend(packages.iter().flat_map(|package| ["-p", package]));
    let mut with_models = 0;
    let succeeded =
        process::run_and_watch(cargo(&arguments).env("RUSTFLAGS", "--cfg loom"), |line| {
            let counts = test_suite::Counts::of_line(line);
            with_models += usize::from(counts.is_some_and(|counts| counts.passed > 0));
        })?;
    if !succeeded {
        bail!("a model failed");
    }
    if with_models < packages.len() {
        bail!("no model ran in one of {packages:?}: it has lost its tests under `--cfg loom`");
    }
    Ok(Outcome::Passed)
}

fn instructions() -> Result<Outcome> {
    if !is_installed("valgrind") {
        return Ok(Outcome::Skipped(String::from("install valgrind")));
    }
    passed(bench::run("instructions", bench::Wishes::default(), &[]))
}

/// Whether a program is there that can tell its version.
fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn deny() -> Result<Outcome> {
    if !is_installed("cargo-deny") {
        return Ok(Outcome::Skipped(String::from("run `cargo install cargo-deny`")));
    }
    passed(process::run(&mut cargo(&["deny", "check", "bans", "licenses", "sources"])))
}
