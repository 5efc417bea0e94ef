//! `cargo xtask fuzz` and `cargo xtask asan`: builds with instrumentation, and what runs on them.
//!
//! Both use flags that the compiler keeps for nightly builds (`-Zsanitizer=address`) and that the
//! pinned one accepts with `RUSTC_BOOTSTRAP=1`; target folders are their own, since the flags
//! rebuild everything. libFuzzer itself comes with the crate `libfuzzer-sys`, as C++ sources.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::check::Outcome;
use crate::process::{self, cargo, output_of, root};
use crate::test_suite;

/// The fuzz targets; `fuzz/Cargo.toml` declares a program for each.
pub(crate) const TARGETS: [&str; 8] = [
    "plan",
    "plan_patches",
    "callable_blob",
    "args_blob",
    "call_config",
    "build_id",
    "graph_image",
    "image_cache",
];

/// What makes a program a fuzzer: coverage of edges and comparisons, as libFuzzer reads it.
const COVERAGE: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Finds reads and writes outside objects, and uses after they are freed.
const ADDRESS_SANITIZER: &str = "-Zsanitizer=address";

/// Manifest of the fuzz targets.
const FUZZ_MANIFEST: &str = "fuzz/Cargo.toml";

/// Largest input, in bytes: the images that the compiler makes for seeds have 16 to 30 KB.
const INPUT_BYTES_MAX: u32 = 40_000;

/// Tests that compare this process with itself or with the system's loader, which the sanitizer
/// changes: it replaces functions of the C library, and keeps freed memory.
const NOT_UNDER_SANITIZER: [&str; 2] = ["loader_growth", "loader_differential"];

/// The target this compiler builds for by default.
fn host() -> Result<String> {
    let text = output_of(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Runs a fuzz target, or all of them one after the other, for so many seconds each.
///
/// # Errors
///
/// There is no such target, it does not build, or it found something: the input is then kept in
/// `fuzz/artifacts/`.
pub(crate) fn fuzz(target: &str, seconds: u32) -> Result<()> {
    let targets: Vec<_> =
        TARGETS.iter().filter(|each| target == "all" || target == **each).collect();
    if targets.is_empty() {
        bail!("there is no fuzz target `{target}`; there are {}, and all", TARGETS.join(", "));
    }
    let host = host()?;
    if !has_address_sanitizer(&host)? {
        bail!("the toolchain has no run time of the address sanitizer for {host}");
    }
    let flags = [COVERAGE, &[ADDRESS_SANITIZER]].concat().join(" ");
    let build = ["build", "--release", "--manifest-path", FUZZ_MANIFEST, "--target", &host];
    for target in targets {
        let corpus = format!("fuzz/corpus/{target}");
        let artifacts = format!("fuzz/artifacts/{target}/");
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(root().join(folder))
                .with_context(|| format!("cannot make {folder}"))?;
        }
        let seeds = ["run", "--quiet", "--manifest-path", FUZZ_MANIFEST, "--bin", "seeds", "--"];
        process::run(&mut cargo(&[&seeds[..], &[target, &corpus]].concat()))?;
        let folder = ["--target-dir", "fuzz/target/instrumented", "--bin", target];
        let mut command = cargo(&[&build[..], &folder].concat());
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", &flags);
        process::run(&mut command).context(
            "a fuzz target needs a C++ compiler for libFuzzer and a toolchain with the runtime of \
             the address sanitizer",
        )?;
        let program = format!("fuzz/target/instrumented/{host}/release/{target}");
        let mut command = Command::new(root().join(program));
        command.current_dir(root()).arg(&corpus).args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-artifact_prefix={artifacts}"),
            String::from("-timeout=10"),
            String::from("-print_final_stats=1"),
        ]);
        process::run(&mut command)
            .with_context(|| format!("`{target}` found something; see {artifacts}"))?;
    }
    Ok(())
}

/// Checks that the fuzz targets compile, with warnings denied; skipped without their crates.
///
/// # Errors
///
/// They do not.
pub(crate) fn check_fuzz() -> Result<Outcome> {
    if process::run(&mut cargo(&["fetch", "--manifest-path", FUZZ_MANIFEST])).is_err() {
        let reason = "the crates of fuzz/ cannot be had: run `cargo fetch` there with a network";
        return Ok(Outcome::Skipped(String::from(reason)));
    }
    process::run(&mut cargo(&["fmt", "--manifest-path", FUZZ_MANIFEST, "--check"]))?;
    let arguments = ["clippy", "--manifest-path", FUZZ_MANIFEST, "--all-targets"];
    process::run(&mut cargo(&[&arguments[..], &["--", "-D", "warnings"]].concat()))?;
    Ok(Outcome::Passed)
}

/// Runs the tests of the loader and of its memory with the address sanitizer; skipped if the
/// toolchain does not have it.
///
/// # Errors
///
/// A test failed, the sanitizer found something, or no test ran.
pub(crate) fn asan() -> Result<Outcome> {
    let tests = loader_tests()?;
    let host = host()?;
    if !has_address_sanitizer(&host)? {
        let reason = format!("the toolchain has no run time of the address sanitizer for {host}");
        return Ok(Outcome::Skipped(reason));
    }
    let mut arguments = vec!["test", "--no-fail-fast", "-p", "aicpu-executor", "-p", "aicpu-linux"];
    arguments.extend(["--target", &host, "--target-dir", "target/asan", "--lib"]);
    arguments.extend(tests.iter().flat_map(|test| ["--test", test]));
    // They take address space away, which the sanitizer needs.
    arguments.extend(["--", "--skip", "slots::tests::system_limits"]);
    let mut command = cargo(&arguments);
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", ADDRESS_SANITIZER);
    // Tests leave names behind for the whole of their process; the loader allocates nothing.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    // The sanitizer keeps freed memory for a while, which is no growth.
    command.env("LOADER_GROWTH_KIB", "1000000");
    let mut passed = 0;
    let succeeded = process::run_and_watch(&mut command, |line| {
        passed += test_suite::Counts::of_line(line).map_or(0, |counts| counts.passed);
    })?;
    if !succeeded {
        bail!("a test failed, or the address sanitizer found something; it says so above");
    }
    if passed == 0 {
        bail!("no test ran");
    }
    Ok(Outcome::Passed)
}

/// Whether the toolchain brings the run time that instrumented programs need.
fn has_address_sanitizer(host: &str) -> Result<bool> {
    let arguments = ["--print", "sysroot"];
    let sysroot = output_of(Command::new("rustc").args(arguments).current_dir(root()))?;
    let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("lib");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.any(|name| name.ends_with("_rt.asan.a") || name.ends_with("_rt.asan.dylib")))
}

/// The test programs of the loader that make sense under a sanitizer.
fn loader_tests() -> Result<Vec<String>> {
    let folder = root().join("aicpu-executor/tests");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut tests = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_program = path.extension().is_some_and(|ending| ending == "rs");
        let is_loader = name.starts_with("loader_") || name == "hostile_classes";
        if is_program && is_loader && !NOT_UNDER_SANITIZER.contains(&name) {
            tests.push(name.to_owned());
        }
    }
    tests.sort();
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fuzz_target_is_declared_and_has_its_file() {
        let manifest = fs::read_to_string(root().join(FUZZ_MANIFEST)).unwrap();
        for target in TARGETS {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
        let files = fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap();
        assert_eq!(files.count(), TARGETS.len());
    }

    #[test]
    fn the_tests_under_the_sanitizer_are_those_of_the_loader() {
        let tests = loader_tests().unwrap();
        assert!(tests.contains(&String::from("hostile_classes")));
        assert!(tests.contains(&String::from("loader_mutants_native")));
        assert!(NOT_UNDER_SANITIZER.iter().all(|test| !tests.contains(&String::from(*test))));
    }

    #[test]
    fn a_target_that_does_not_exist_is_refused_with_those_that_do() {
        let error = fuzz("no_such_target", 1).unwrap_err().to_string();
        assert!(error.contains("`no_such_target`") && error.contains("plan_patches"), "{error}");
    }

    #[test]
    fn a_toolchain_has_no_sanitizer_for_a_target_it_does_not_have() {
        assert!(has_address_sanitizer("no-such-target").is_err());
        assert!(has_address_sanitizer(&host().unwrap()).is_ok());
    }
}
