//! Runs every example on the simulator in release, over AICPU thread counts and block dims.
//!
//! Each must end with the expected outputs on every combination, the single AICPU thread included.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{cargo, output_of, root, run};

/// AICPU thread counts: all that the chip has.
const THREADS: [u32; 4] = [1, 2, 3, 4];
/// Block dims: one cluster, a few, and all.
const BLOCK_DIMS: [u32; 3] = [1, 3, 24];

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
        for threads in THREADS {
            for block_dim in BLOCK_DIMS {
                count += 1;
                if let Err(error) = run_one(&folder, threads, block_dim) {
                    eprintln!("error: {error:#}");
                    failed.push(format!("{name} on {threads} threads, block dim {block_dim}"));
                }
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} of {count} runs failed: {}", failed.len(), failed.join("; "));
    }
    eprintln!("{count} runs of examples were right");
    Ok(())
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
fn run_one(folder: &str, threads: u32, block_dim: u32) -> Result<()> {
    let (threads, block_dim) = (threads.to_string(), block_dim.to_string());
    let program = ["run", "--quiet", "--release", "-p", "host-runner", "--", "run", folder];
    let settings = ["--aicpu-threads", &threads, "--block-dim", &block_dim, "--json"];
    let text = output_of(&mut cargo(&[&program[..], &settings].concat()))?;
    check_report(&text)
        .with_context(|| format!("{folder} with --aicpu-threads {threads} --block-dim {block_dim}"))
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
