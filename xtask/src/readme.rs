//! Runs the commands that README.md promises, exactly as it prints them.
//!
//! A fenced block marked `sh` holds one command a line, and all of them run: as with doc-tests, a
//! block that must not be run says so (`sh no_run`). Lines that start with `cargo xtask` are checks
//! of their own: running them here would run everything twice, or without end.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{root, run as run_command};

/// Info string of a block that is run.
const TESTED: &str = "sh";

/// Runs the commands of README.md.
///
/// # Errors
///
/// There is no README.md or no block to run in it, or a command failed.
pub(crate) fn run() -> Result<()> {
    let text = fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    let commands = tested_commands(&text)?;
    for line in commands {
        if line.starts_with("cargo xtask") {
            eprintln!("`{line}` is a check of its own");
            continue;
        }
        run_command(
            Command::new("bash").args(["-euo", "pipefail", "-c", &line]).current_dir(root()),
        )
        .with_context(|| format!("README.md says to run `{line}`"))?;
    }
    Ok(())
}

/// The lines of all blocks to run, without comments and blank lines.
fn tested_commands(text: &str) -> Result<Vec<String>> {
    let mut commands = Vec::new();
    let mut fence: Option<bool> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        match (trimmed.strip_prefix("```"), fence) {
            (Some(info), None) => fence = Some(info.trim() == TESTED),
            (Some(_), Some(_)) => fence = None,
            (None, Some(true)) if !trimmed.is_empty() && !trimmed.starts_with('#') => {
                commands.push(trimmed.to_owned());
            }
            _ => {}
        }
    }
    if fence.is_some() {
        bail!("README.md ends inside a fenced block");
    }
    if commands.is_empty() {
        bail!("README.md has no command in a block marked ```{TESTED}");
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_commands_of_marked_blocks_only() {
        let text = "# Title\n```sh\n# first\ncargo run\n\ncargo xtask test\n```\n\
                    ```sh no_run\nrm -r target\n```\n```text\nsh\n```\n";
        assert_eq!(tested_commands(text).unwrap(), ["cargo run", "cargo xtask test"]);
    }

    #[test]
    fn refuses_a_text_without_a_marked_command_or_with_an_open_block() {
        for text in ["", "```text\ncargo run\n```\n", "```sh\n```\n", "```sh\ncargo run\n"] {
            assert!(tested_commands(text).is_err(), "{text:?}");
        }
    }
}
