//! `cargo xtask test scenes` and `test seeds`: builds the scenes in release and runs them.
//!
//! Apart from the suites of `test_suite`: this is a program with a table of its own, which ends with
//! `N passed, N failed`, and not a program of cargo's test harness.

use anyhow::{Result, bail};

use crate::mock_cann::MockCann;
use crate::process::{cargo, run as run_command};

/// Runs the scenes; `rest` is passed on.
///
/// # Errors
///
/// They do not build, or one failed.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let program = ["run", "--release", "-p", "scenes", "--"];
    let mut command = cargo(&program);
    command.args(rest);
    let mut words = rest.iter().skip_while(|word| *word != "--cann");
    let Some(machine) = words.nth(1) else { return run_command(&mut command) };
    let mock = MockCann::set_up(machine)?;
    mock.pass_to(&mut command);
    run_command(&mut command)?;
    mock.check()
}

/// Runs the small scenes under seeds: 200, or as many as `rest` says in its first word.
///
/// # Errors
///
/// They do not build, or one failed.
pub(crate) fn run_seeds(rest: &[String]) -> Result<()> {
    let (count, rest) = match rest.split_first() {
        Some((count, rest)) if !count.starts_with('-') => (count.as_str(), rest),
        _ => ("200", rest),
    };
    run(&[&["--seeds".to_owned(), count.to_owned()], rest].concat())
}

/// Refuses options that no suite but scenes takes.
///
/// # Errors
///
/// There are some.
pub(crate) fn refuse(rest: &[String]) -> Result<()> {
    if rest.is_empty() {
        return Ok(());
    }
    bail!(
        "`-- {}` is for `cargo xtask test scenes` and `test seeds`; no other suite takes options",
        rest.join(" ")
    )
}
