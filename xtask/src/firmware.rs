//! `cargo xtask build-aicpu`: the shared objects that run on the AICPU, for each machine, chip and host.
//!
//! Not a `cdylib`: rustc's own version script cannot name the symbols that defmt makes. One archive has the
//! entry points for both kinds of host, and is linked once for each; what a host does not call is left out.
//!
//! ```text
//!  cargo build -p aicpu-firmware ──► libaicpu_firmware.a ─┬─ rust-lld ──► …/onboard/libaicpu.so
//!                                         │ archive       │               …/onboard/libaicpu.unstripped.so
//!                                         │               └─ rust-lld ──► …/sim/libaicpu.so …
//!                                         └──────────────── inspect ──────────────┘ image
//! ```
//!
//! The proof that neither std nor an allocator nor a C library is in it: the archive has no member
//! or symbol of theirs, and the shared object links with `--no-undefined` and needs no library.
//!
//! Two builds of the same sources are the same bytes, in whatever folder: paths are written relative to it.

mod inspect;
mod link;
mod twice;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use protocol::ChipName;

use crate::check::Outcome;
use crate::cross::{self, Machine, NotHere, Toolchain};
use crate::process::{root, run};

pub(crate) use link::BUILD_ID_BYTES;

/// The profile of `Cargo.toml` for it.
const PROFILE: &str = "firmware";

/// What to build.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Wishes {
    /// Machine to build for; without it, this one, and aarch64 if there is a compiler for that.
    #[arg(long, value_name = "TARGET")]
    target: Option<Machine>,
    /// Host to build for; without it, all.
    #[arg(long)]
    abi: Option<Abi>,
    /// Chip to build for; without it, all.
    #[arg(long)]
    chip: Option<Chip>,
    /// Fetches a compiler for aarch64 from Debian's packages first, if there is none.
    #[arg(long)]
    fetch_toolchain: bool,
    /// Folder for the files; without it, `aicpu` in the target folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Whose calls an image answers: boundary C comes in two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Abi {
    /// The driver's server on the chip, which calls with a launch record.
    Onboard,
    /// A simulator host, which loads the image into its own process.
    Sim,
}

impl Abi {
    const ALL: [Self; 2] = [Self::Onboard, Self::Sim];

    /// The name of its folder.
    const fn name(self) -> &'static str {
        match self {
            Self::Onboard => "onboard",
            Self::Sim => "sim",
        }
    }

    /// What an image exports, and nothing else, sorted (aicpu-executor/firmware/src/entry).
    const fn exports(self, chip: Chip) -> &'static [&'static str] {
        match (self, chip) {
            (Self::Onboard, _) => &[
                "DynTileFwkBackendKernelServer",
                "DynTileFwkBackendKernelServerInit",
                "StaticTileFwkBackendKernelServer",
            ],
            (Self::Sim, Chip::A2a3) => &[
                "aicpu_execute",
                "set_dump_tensor_enabled",
                "set_l2_swimlane_enabled",
                "set_log_info_v",
                "set_log_level",
                "set_platform_dump_base",
                "set_platform_l2_perf_base",
                "set_platform_pmu_base",
                "set_platform_pmu_reg_addrs",
                "set_platform_regs",
                "set_pmu_enabled",
            ],
            (Self::Sim, Chip::A5) => &[
                "aicpu_execute",
                "set_dump_tensor_enabled",
                "set_l2_swimlane_enabled",
                "set_log_info_v",
                "set_log_level",
                "set_platform_dump_base",
                "set_platform_l2_perf_base",
                "set_platform_pmu_base",
                "set_platform_regs",
                "set_pmu_enabled",
            ],
        }
    }
}

/// A chip that there are images for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chip {
    /// The a2a3 family.
    A2a3,
    /// The a5 family.
    A5,
}

impl Chip {
    const ALL: [Self; 2] = [Self::A2a3, Self::A5];

    /// The name of its folder.
    const fn name(self) -> &'static str {
        match self {
            Self::A2a3 => ChipName::A2a3.name(),
            Self::A5 => ChipName::A5.name(),
        }
    }

    /// The features of the firmware that pick it.
    const fn features(self) -> &'static str {
        match self {
            Self::A2a3 => "",
            Self::A5 => "a5",
        }
    }
}

/// Makes an image log every severity; without this, defmt compiles errors in and nothing else.
pub(crate) fn with_log_frames(mut command: Command) -> Command {
    command.env("DEFMT_LOG", "trace");
    command
}

/// Builds and checks what is wished for.
///
/// # Errors
///
/// A build, a link or a check failed; [`NotHere`] where there is no compiler for a machine that was named.
pub(crate) fn build_all(wishes: &Wishes) -> Result<()> {
    if wishes.fetch_toolchain {
        cross::fetch(wishes.target.unwrap_or(Machine::Aarch64))?;
    }
    if let Some(machine) = wishes.target {
        let toolchain = Toolchain::find(machine)?;
        let toolchain = toolchain.ok_or_else(|| NotHere(cross::how_to_get(machine)))?;
        return build_for(&toolchain, wishes);
    }
    for machine in Machine::ALL {
        match Toolchain::find(machine)? {
            Some(toolchain) => build_for(&toolchain, wishes)?,
            None => eprintln!("skipped: {}", cross::how_to_get(machine)),
        }
    }
    Ok(())
}

/// Builds and checks all images for this machine, and for the others that there is a compiler for.
///
/// # Errors
///
/// As for [`build_all`].
pub(crate) fn check() -> Result<Outcome> {
    build_all(&Wishes::default())?;
    Ok(Outcome::Passed)
}

/// Builds all images once more, in a copy of the sources in another folder, and compares them.
///
/// # Errors
///
/// As for [`build_all`]; or the bytes differ.
pub(crate) fn check_twice() -> Result<Outcome> {
    build_all(&Wishes::default())?;
    twice::check()?;
    Ok(Outcome::Passed)
}

/// Builds the images that the driver's server calls, for a machine and all chips.
///
/// # Errors
///
/// As for [`build_all`].
pub(crate) fn build_onboard(machine: Machine) -> Result<()> {
    build_all(&Wishes { target: Some(machine), abi: Some(Abi::Onboard), ..Wishes::default() })
}

/// Builds the images for a machine.
fn build_for(toolchain: &Toolchain, wishes: &Wishes) -> Result<()> {
    let folder = wishes.out.clone().unwrap_or_else(default_folder);
    // Both chips have their archive in one place: until it is linked, nobody else may compile it.
    let path = cross::target_folder().join("firmware.lock");
    // In a fresh clone, cargo has not made the folder yet.
    let lock = fs::create_dir_all(cross::target_folder())
        .and_then(|()| fs::File::create(&path))
        .and_then(|file| file.lock().map(|()| file));
    let _one_at_a_time = lock.with_context(|| format!("cannot lock {}", path.display()))?;
    let wanted = |chip: &Chip| wishes.chip.is_none_or(|wish| wish == *chip);
    for chip in Chip::ALL.into_iter().filter(wanted) {
        let archive = compile(toolchain, chip)?;
        let wanted = |abi: &Abi| wishes.abi.is_none_or(|wish| wish == *abi);
        for abi in Abi::ALL.into_iter().filter(wanted) {
            let machine = toolchain.machine();
            let folder = folder.join(machine.processor()).join(chip.name()).join(abi.name());
            let exports = abi.exports(chip);
            let image =
                link::image(&link::Job { machine, archive: &archive, exports, folder: &folder })?;
            report(&image, exports)?;
        }
    }
    Ok(())
}

/// Where images are unless somebody says otherwise.
pub(crate) fn default_folder() -> PathBuf {
    cross::target_folder().join("aicpu")
}

/// Compiles the archive for a chip, and looks into it.
fn compile(toolchain: &Toolchain, chip: Chip) -> Result<PathBuf> {
    let arguments = ["build", "--locked", "-p", "aicpu-firmware", "--profile", PROFILE];
    let mut command = with_log_frames(toolchain.cargo(&arguments));
    command.args(["--features", chip.features()]);
    // Whatever the environment says of other builds: what comes out must not depend on it.
    command
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain.machine())?);
    if toolchain.machine() == Machine::X86_64 {
        // Its code is larger than that of the machine the limit is for.
        command.env("CARGO_PROFILE_FIRMWARE_OPT_LEVEL", "s");
    }
    run(&mut command)?;
    let archive = toolchain.built_in(PROFILE).join("libaicpu_firmware.a");
    inspect::archive(&read(&archive)?)
        .with_context(|| format!("{} is not what it should be", archive.display()))?;
    Ok(archive)
}

/// Flags for the compiler, each separated from the next as cargo wants it: what the machine needs, and paths
/// without the folders of this computer.
fn flags(machine: Machine) -> Result<OsString> {
    let registry =
        registry_folder().context("neither CARGO_HOME nor HOME says where packages are")?;
    let mut flags = OsString::from(machine.freestanding_flags().join("\u{1f}"));
    for (folder, name) in [(registry, "packages"), (root(), "simpler-rs")] {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push(format!("={name}"));
    }
    Ok(flags)
}

/// Where cargo keeps the sources of packages.
fn registry_folder() -> Option<PathBuf> {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// Looks into an image and its twin, and prints what is in it.
fn report(image: &link::Image, exports: &[&str]) -> Result<()> {
    let bytes = read(&image.stripped)?;
    let facts = inspect::image(&bytes, exports)
        .with_context(|| format!("{} is not what it should be", image.stripped.display()))?;
    inspect::twin(&read(&image.unstripped)?, &facts)
        .with_context(|| format!("{} is not what it should be", image.unstripped.display()))?;
    println!("{}", image.stripped.display());
    println!(
        "  {} B: text {} B of at most {}, constants {} B, data {} B, zeroed data {} B",
        bytes.len(),
        facts.code,
        inspect::TEXT_BYTES_MAX,
        facts.constants,
        facts.data,
        facts.zeroed
    );
    println!("  Build-ID {}", facts.build_id);
    println!("  exports {}", exports.join(", "));
    println!("  imports nothing, needs no library");
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_sorted_and_a_simulator_host_finds_the_counters_registers_on_a2a3_only() {
        for (abi, chip) in Abi::ALL.into_iter().flat_map(|abi| Chip::ALL.map(|chip| (abi, chip))) {
            let exports = abi.exports(chip);
            assert!(exports.is_sorted(), "{exports:?}");
            let has_registers = exports.contains(&"set_platform_pmu_reg_addrs");
            assert_eq!(has_registers, (abi, chip) == (Abi::Sim, Chip::A2a3));
        }
    }
}
