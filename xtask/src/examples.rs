//! Runs every example on the simulators of both chips in release, over AICPU thread counts and
//! block dims.
//!
//! Each must end with the expected outputs on every combination, the single AICPU thread included.

use std::fs;

use anyhow::{Context, Result, bail};
use protocol::{A2a3, A5, Chip};
use serde_json::Value;

use crate::process::{cargo, output_of, root, run};

/// A platform, and what to run on there.
struct Platform {
    name: &'static str,
    /// AICPU thread counts: all up to this, which is what the chip has.
    threads: u32,
    /// Block dims: one cluster, a few, and all.
    block_dims: [u32; 3],
}

impl Platform {
    const fn of<C: Chip>(name: &'static str) -> Self {
        // CAST: a chip has a few dozen clusters and a handful of threads.
        let (threads, clusters) = (C::MAX_AICPU_THREADS as u32, C::MAX_CLUSTERS as u32);
        Self { name, threads, block_dims: [1, 3, clusters] }
    }
}

/// All platforms.
const PLATFORMS: [Platform; 2] = [Platform::of::<A2a3>("a2a3sim"), Platform::of::<A5>("a5sim")];

/// Runs all examples.
///
/// # Errors
///
/// There is none, or the list of the runs that failed.
pub(crate) fn run_all() -> Result<()> {
    let mut failed = Vec::new();
    let mut count = 0;
    for name in names()? {
        let folder = format!("examples/{name}");
        // As a person would: with the table, and the defaults of the example.
        run(&mut cargo(&["run", "--release", "-p", "host-runner", "--", "run", &folder]))?;
        for setting in PLATFORMS.iter().flat_map(settings) {
            count += 1;
            if let Err(error) = run_one(&folder, &setting) {
                eprintln!("error: {error:#}");
                failed.push(format!("{name} with {}", setting.join(" ")));
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} of {count} runs failed: {}", failed.len(), failed.join("; "));
    }
    eprintln!("{count} runs of examples were right");
    Ok(())
}

/// The arguments of every run of an example on a platform.
fn settings(platform: &'static Platform) -> impl Iterator<Item = [String; 6]> {
    let dims = |threads: u32| platform.block_dims.map(|block_dim| (threads, block_dim));
    (1..=platform.threads).flat_map(dims).map(|(threads, block_dim)| {
        [
            "--platform",
            platform.name,
            "--aicpu-threads",
            &threads.to_string(),
            "--block-dim",
            &block_dim.to_string(),
        ]
        .map(str::to_owned)
    })
}

/// Names of the examples, sorted.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("examples")).context("cannot read the folder examples")? {
        let entry = entry.context("cannot read the folder examples")?;
        if entry.path().join("callable.toml").is_file() {
            names.push(entry.file_name().display().to_string());
        }
    }
    if names.is_empty() {
        bail!("there is no examples/*/callable.toml");
    }
    names.sort();
    Ok(names)
}

/// Runs one example with these settings and looks at every case it reports.
fn run_one(folder: &str, setting: &[String; 6]) -> Result<()> {
    let program =
        ["run", "--quiet", "--release", "-p", "host-runner", "--", "run", folder, "--json"];
    let setting = setting.each_ref().map(String::as_str);
    let text = output_of(&mut cargo(&[&program[..], &setting].concat()))?;
    check_report(&text).with_context(|| format!("{folder} with {}", setting.join(" ")))
}

/// Checks the JSON objects of a run, one a line: there is one at least, and all say `"ok": true`.
fn check_report(text: &str) -> Result<()> {
    let mut cases = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let report: Value =
            serde_json::from_str(line).with_context(|| format!("no JSON object: {line}"))?;
        if report.get("ok") != Some(&Value::Bool(true)) {
            bail!("a case is not ok: {line}");
        }
        cases += 1;
    }
    if cases == 0 {
        bail!("no case was reported");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_good_only_if_every_line_is_an_object_that_says_ok() {
        let cases = [
            ("{\"case\": \"a\", \"ok\": true}\n{\"case\": \"b\", \"ok\": true}\n", true),
            ("{\"case\": \"a\", \"ok\": true}\n{\"case\": \"b\", \"ok\": false}\n", false),
            ("{\"case\": \"a\"}\n", false),
            ("{\"case\": \"a\", \"ok\": \"true\"}\n", false),
            ("ok\n", false),
            ("\n", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(check_report(text).is_ok(), expected, "{text:?}");
        }
    }
}
