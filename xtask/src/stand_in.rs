//! `cargo xtask build-stand-in`: the daemon that stands in for the chip in tests, for this machine or another.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::check::Outcome;
use crate::cross::{self, Machine, NotHere, Toolchain};
use crate::firmware;
use crate::process::run;

/// The program.
const PROGRAM: &str = "stand-in-daemon";

/// Builds the daemon for a machine, this one if none is named, and returns where it is.
///
/// # Errors
///
/// [`NotHere`] where a compiler, a linker or an emulator for the machine is missing; it does not build.
pub(crate) fn build(machine: Option<Machine>) -> Result<PathBuf> {
    let machine = machine.map_or_else(Machine::host, Ok)?;
    let toolchain = Toolchain::find(machine)?.ok_or_else(|| NotHere(cross::how_to_get(machine)))?;
    for missing in [cross::why_no_programs(machine)?, cross::why_no_emulator(machine)?] {
        missing.map_or(Ok(()), |missing| Err(NotHere(missing)))?;
    }
    run(&mut toolchain.cargo(&["build", "--quiet", "-p", "stand-in", "--bin", PROGRAM]))?;
    let built = toolchain.built_in("debug").join(PROGRAM);
    let folder = firmware::default_folder().join(machine.processor());
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    // Takes the place of the one before at once: that may be running.
    let draft = folder.join(format!("{PROGRAM}.{}", std::process::id()));
    let program = folder.join(PROGRAM);
    fs::copy(&built, &draft)
        .and_then(|_bytes| fs::rename(&draft, &program))
        .with_context(|| format!("cannot copy {} to {}", built.display(), program.display()))?;
    println!("{}", program.display());
    Ok(program)
}

/// Builds the daemon for aarch64 and has the emulator start it: the compiler, its standard library, the linker for
/// programs and the emulator fit together.
///
/// # Errors
///
/// One of them is there and does not work.
pub(crate) fn check() -> Result<Outcome> {
    let program = match build(Some(Machine::Aarch64)) {
        Ok(program) => program,
        Err(error) if error.is::<NotHere>() => return Ok(Outcome::Skipped(error.to_string())),
        Err(error) => return Err(error),
    };
    let mut command = match cross::emulator(Machine::Aarch64) {
        Some(emulator) if Machine::host()? != Machine::Aarch64 => {
            let mut words = emulator.into_iter();
            let mut command = Command::new(words.next().context("an emulator without a name")?);
            command.args(words).arg(&program);
            command
        }
        _ => Command::new(&program),
    };
    // Without a socket and memory it says what it wants, and leaves.
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1) && text.contains("device memory"),
        "{} ended with {} and said {text:?}",
        program.display(),
        output.status
    );
    Ok(Outcome::Passed)
}
