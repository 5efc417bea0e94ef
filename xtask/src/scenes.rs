//! `cargo xtask test scenes` and `test seeds`: builds the scenes in release and runs them.
//!
//! Apart from the suites of `test_suite`: this is a program with a table of its own, which ends with
//! `N passed, N failed`, and not a program of cargo's test harness.

use anyhow::{Result, bail};

use crate::check::Outcome;
use crate::cross::Machine;
use crate::device_program;
use crate::mock_cann::MockCann;
use crate::process::{cargo, run as run_command};

/// What the check runs under the emulator: kernels and orchestrations, mixed tasks, faults, graphs of the host.
const EMULATED_SCENES: [&str; 5] =
    ["vector", "mixed_example", "user_exception", "explicit_fatal", "hbg_fork_join"];

/// Runs the scenes; `rest` is passed on.
///
/// # Errors
///
/// They do not build, or one failed.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let has = |option: &str| rest.iter().any(|word| word == option);
    if has("--process") {
        let machine = if has("--emulated") { Some(Machine::Aarch64) } else { None };
        device_program::build(machine)?;
    }
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

/// Runs small scenes on devices in processes of their own: on this machine, and some of them for aarch64 under the
/// emulator where there is one.
///
/// # Errors
///
/// They do not build, or one failed.
pub(crate) fn check_processes() -> Result<Outcome> {
    check_here_and_emulated("--process --small", "--process --emulated")
}

/// Runs small scenes as on a chip, with the mock of the vendor's libraries: on this machine, and some of them with the
/// AICPU program for aarch64 under the emulator where there is one.
///
/// # Errors
///
/// They do not build, or one failed.
pub(crate) fn check_cann() -> Result<Outcome> {
    // Over thread counts they are run on simulators; here, each launch is of several processes.
    check_here_and_emulated("--cann native --small --threads 3", "--cann aarch64")
}

/// Runs scenes with the options for this machine, and where there is an emulator some with those for aarch64.
fn check_here_and_emulated(here: &str, emulated: &str) -> Result<Outcome> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    run(&words(here))?;
    if let Some(missing) = device_program::why_not(Machine::Aarch64)? {
        eprintln!("skipped: scenes with {emulated}: {missing}");
        return Ok(Outcome::Passed);
    }
    for scene in EMULATED_SCENES {
        run(&words(&format!("{emulated} --threads 3 --scene {scene}")))?;
    }
    Ok(Outcome::Passed)
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
