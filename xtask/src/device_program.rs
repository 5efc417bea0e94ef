//! `cargo xtask build-device`: the program of devices in processes of their own, for this machine or another.
//!
//! It is looked for beside the programs of its host, or in `device/MACHINE` of the target folder, which is where it is
//! put. For this machine it is built as cargo builds anything; for another one with that machine's tools.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cross::{self, Machine, NotHere, Toolchain, target_folder};
use crate::process::run;

/// The program.
const PROGRAM: &str = "process-device";

/// Builds the program for a machine, this one if none is named, and returns where it is.
///
/// # Errors
///
/// [`NotHere`] where a compiler, a linker or an emulator for the machine is missing; it does not build.
pub(crate) fn build(machine: Option<Machine>) -> Result<PathBuf> {
    let machine = machine.map_or_else(Machine::host, Ok)?;
    if let Some(missing) = why_not(machine)? {
        return Err(NotHere(missing).into());
    }
    let toolchain = Toolchain::find(machine)?.ok_or_else(|| NotHere(cross::how_to_get(machine)))?;
    // Without debug information: nobody looks at it under an emulator, and it is most of the file.
    let mut command =
        toolchain.cargo(&["build", "--release", "-p", "host-runner", "--bin", PROGRAM]);
    if machine != Machine::host()? {
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    }
    run(&mut command)?;
    let built = toolchain.built_in("release").join(PROGRAM);
    let folder = target_folder().join("device").join(machine.processor());
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

/// What is missing to build for a machine and to run that here; `None` where nothing is.
///
/// # Errors
///
/// The workspace's compiler does not work.
pub(crate) fn why_not(machine: Machine) -> Result<Option<String>> {
    if Toolchain::find(machine)?.is_none() {
        return Ok(Some(cross::how_to_get(machine)));
    }
    match cross::why_no_programs(machine)? {
        Some(missing) => Ok(Some(missing)),
        None => cross::why_no_emulator(machine),
    }
}
