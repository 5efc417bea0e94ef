//! `cargo xtask bench NAME`: the benches, as a table; each is a program that measures and prints.
//!
//! A bench runs in release, takes `--json FILE` and `--quick`, and fails only if what it measures
//! works wrongly: a figure that misses its target is for people, since machines are noisy.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, run as run_command};

/// One bench.
struct Bench {
    name: &'static str,
    purpose: &'static str,
    /// The package, and its `[[bench]]`.
    package: &'static str,
    target: &'static str,
}

/// All benches.
const BENCHES: &[Bench] = &[Bench {
    name: "loader",
    purpose: "loads of shared objects, against dlopen and others",
    package: "host-runner",
    target: "loader",
}];

/// Runs a bench with `rest` passed on to it.
///
/// # Errors
///
/// A name that is no bench, a path that cannot be made absolute, or a bench that fails.
pub(crate) fn run(name: &str, json: Option<&Path>, quick: bool, rest: &[String]) -> Result<()> {
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no bench `{name}`; there are {}", known.join(", "));
    };
    eprintln!("== {}: {}", bench.name, bench.purpose);
    let mut command = cargo(&["bench", "-p", bench.package, "--bench", bench.target, "--"]);
    if let Some(json) = json {
        // The bench runs in the folder of its package, not in the caller's.
        let json = std::path::absolute(json)
            .with_context(|| format!("cannot make {} absolute", json.display()))?;
        command.arg("--json").arg(json);
    }
    if quick {
        command.arg("--quick");
    }
    run_command(command.args(rest))
}

/// Runs every bench for a few seconds.
///
/// # Errors
///
/// A bench fails.
pub(crate) fn run_all_quickly() -> Result<()> {
    BENCHES.iter().try_for_each(|bench| run(bench.name, None, true, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_bench_that_does_not_exist_and_names_those_that_do() {
        let error = run("no_such_bench", None, true, &[]).unwrap_err().to_string();
        assert!(error.contains("`no_such_bench`") && error.contains("loader"), "{error}");
    }

    #[test]
    fn each_bench_is_a_target_of_its_package() {
        for bench in BENCHES {
            let manifest = crate::process::root().join(bench.package).join("Cargo.toml");
            let text = std::fs::read_to_string(&manifest).unwrap();
            let entry = format!("[[bench]]\nname = \"{}\"\nharness = false\n", bench.target);
            assert!(text.contains(&entry), "{} in {}", bench.name, manifest.display());
        }
    }
}
