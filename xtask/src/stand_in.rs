//! `cargo xtask build-stand-in`: the daemon that stands in for the chip in tests, for this machine or another.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

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
