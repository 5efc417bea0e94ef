//! Builds the AICPU images, one for each chip: a static library by cargo, then the shared object by the linker.
//!
//! Not a `cdylib`: rustc's own version script cannot name the symbols that defmt makes. The linker
//! gets the archive, the list of exports and `aicpu-executor/firmware/link.x`:
//!
//! ```text
//!  cargo build -p aicpu-firmware ──► libaicpu_firmware.a ── rust-lld ──► libaicpu_firmware.so
//!                                          │ archive                        │ image
//!                                          └──────────── inspect ───────────┤
//!                                                                  smoke (this machine's only)
//! ```
//!
//! The proof that neither std nor an allocator nor a C library is in it: the archive has no member
//! or symbol of theirs, and the shared object links with `--no-undefined` and needs no library.

mod inspect;
mod smoke;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use protocol::{A2a3, A5, ChipName};

use crate::check::Outcome;
use crate::process::{cargo, output_of, root, run};

/// What the shared object exports, and nothing else (aicpu-executor/firmware/src/entry.rs).
const EXPORTS: [&str; 7] = [
    "aicpu_drain_log",
    "aicpu_execute",
    "aicpu_image_base",
    "aicpu_log_dropped",
    "set_log_info_v",
    "set_log_level",
    "set_platform_regs",
];

/// Variable that names a compiler for other machines, where the workspace's own lacks the target.
const CROSS_COMPILER: &str = "CROSS_RUSTC";

/// A machine that the image is built for.
struct Target {
    triple: &'static str,
    /// Name of the machine for the linker.
    emulation: &'static str,
    /// Flags for the compiler.
    flags: &'static str,
}

const TARGETS: [Target; 2] = [
    Target { triple: "x86_64-unknown-linux-gnu", emulation: "elf_x86_64", flags: "" },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        emulation: "aarch64linux",
        // Outlined atomics ask the C library which processor this is, in a constructor.
        flags: "-Ctarget-feature=-outline-atomics",
    },
];

/// A chip that there is an image for.
struct ChipImage {
    name: &'static str,
    /// The feature of the firmware that picks the chip, if it is not the default.
    features: &'static str,
    file: &'static str,
    /// Loads the image and asks it things.
    smoke: fn(&Path) -> Result<()>,
}

const CHIPS: [ChipImage; 2] = [
    ChipImage {
        name: ChipName::A2a3.name(),
        features: "",
        file: "libaicpu_firmware.so",
        smoke: smoke::check::<A2a3>,
    },
    ChipImage {
        name: ChipName::A5.name(),
        features: "a5",
        file: "libaicpu_firmware_a5.so",
        smoke: smoke::check::<A5>,
    },
];

/// Makes an image log every severity; without this, defmt compiles errors in and nothing else.
pub(crate) fn with_log_frames(mut command: Command) -> Command {
    command.env("DEFMT_LOG", "trace");
    command
}

/// `cargo xtask build-aicpu`: builds and checks the image for every target that is installed.
///
/// # Errors
///
/// A build, a link or a check failed.
pub(crate) fn build_all() -> Result<()> {
    match check()? {
        Outcome::Passed => {}
        Outcome::Skipped(reason) => eprintln!("skipped: {reason}"),
    }
    Ok(())
}

/// Builds and checks the image for this machine, and for the others whose libraries are installed.
///
/// # Errors
///
/// As for [`build_all`].
pub(crate) fn check() -> Result<Outcome> {
    let host = host_triple()?;
    let mut checked = 0;
    for target in &TARGETS {
        let is_host = target.triple == host;
        if !is_host && !is_installed(target.triple)? {
            let triple = target.triple;
            eprintln!(
                "skipped: {triple} is not installed; run `rustup target add {triple}`, or name a \
                 compiler that has it in {CROSS_COMPILER}"
            );
            continue;
        }
        for chip in &CHIPS {
            let image = build(target, chip, is_host)?;
            if is_host {
                (chip.smoke)(&image)?;
            }
        }
        checked += 1;
    }
    if checked == 0 {
        return Ok(Outcome::Skipped(format!("there is no image for {host}")));
    }
    Ok(Outcome::Passed)
}

/// Builds, links and inspects; returns the shared object.
fn build(target: &Target, chip: &ChipImage, is_host: bool) -> Result<PathBuf> {
    let arguments = ["build", "-p", "aicpu-firmware", "--profile", "firmware"];
    let mut command = with_log_frames(cargo(&arguments));
    command.args(["--features", chip.features]);
    let folder = if is_host {
        target_folder().join("firmware")
    } else {
        // Its own folder: the other target may come with a compiler of its own.
        let folder = target_folder().join("cross");
        command.env("RUSTC", cross_rustc());
        command.args(["--target", target.triple, "--target-dir"]).arg(&folder);
        folder.join(target.triple).join("firmware")
    };
    if !target.flags.is_empty() {
        command.env("RUSTFLAGS", target.flags);
    }
    run(&mut command)?;
    let archive = folder.join("libaicpu_firmware.a");
    let image = folder.join(chip.file);
    let archive_facts = inspect::archive(&read(&archive)?)
        .with_context(|| format!("{} is not what it should be", archive.display()))?;
    link(target, &archive, &image)?;
    let facts = inspect::image(&read(&image)?, &EXPORTS)
        .with_context(|| format!("{} is not what it should be", image.display()))?;
    println!("{} for {}: {}", target.triple, chip.name, image.display());
    println!(
        "  code {} B, constants {} B, data {} B, zeroed data {} B; {} members in the archive",
        facts.code, facts.constants, facts.data, facts.zeroed, archive_facts.members
    );
    println!("  exports {}; needs no library, has no undefined symbol", EXPORTS.join(", "));
    Ok(image)
}

/// Links the archive to a shared object that exports [`EXPORTS`] and leaves nothing undefined.
fn link(target: &Target, archive: &Path, image: &Path) -> Result<()> {
    let script = root().join("aicpu-executor/firmware/link.x");
    let versions = image.with_extension("ver");
    let text = format!("{{ global: {}; local: *; }};\n", EXPORTS.join("; "));
    fs::write(&versions, text).with_context(|| format!("cannot write {}", versions.display()))?;
    let mut command = linker()?;
    command.args(["-m", target.emulation, "-shared", "--no-undefined", "--gc-sections"]);
    command.args(["--build-id", "-z", "now", "-z", "relro", "-z", "noexecstack"]);
    command.args(["-soname", "libaicpu_firmware.so", "-T"]).arg(script);
    command.arg(format!("--version-script={}", versions.display()));
    for export in EXPORTS {
        command.args(["-u", export]);
    }
    command.arg(archive).arg("-o").arg(image);
    run(&mut command)
}

/// The linker that comes with rustc, or LLVM's from the system; both link for every target.
fn linker() -> Result<Command> {
    let sysroot = output_of(Command::new(rustc()).args(["--print", "sysroot"]))?;
    let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(host_triple()?).join("bin");
    let rust_lld = folder.join("rust-lld");
    if rust_lld.is_file() {
        let mut command = Command::new(rust_lld);
        command.args(["-flavor", "gnu"]);
        return Ok(command);
    }
    let has_lld = Command::new("ld.lld").arg("--version").output().is_ok();
    if !has_lld {
        bail!("neither rust-lld in the folder of rustc nor ld.lld on the PATH: install lld");
    }
    Ok(Command::new("ld.lld"))
}

/// The compiler that cargo uses.
fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"))
}

/// The compiler for other machines.
fn cross_rustc() -> OsString {
    std::env::var_os(CROSS_COMPILER).unwrap_or_else(rustc)
}

/// The triple of this machine.
fn host_triple() -> Result<String> {
    let text = output_of(Command::new(rustc()).arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("`rustc -vV` names no host")?.to_owned())
}

/// Whether the libraries of a target are installed for the compiler for other machines.
fn is_installed(triple: &str) -> Result<bool> {
    let arguments = ["--print", "target-libdir", "--target", triple];
    let folder = output_of(Command::new(cross_rustc()).args(arguments))?;
    let Ok(entries) = fs::read_dir(folder.trim()) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"libcore-")))
}

/// The folder that cargo builds into.
fn target_folder() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(named.unwrap_or_else(|| PathBuf::from("target")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
