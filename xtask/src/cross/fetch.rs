//! Fetches a private toolchain for aarch64 from Debian's packages.
//!
//! Five packages: a compiler, its library of LLVM, and the standard library for this machine (macros are
//! compiled for it) and for aarch64. They are fetched with a package state of their own and unpacked below
//! one folder, so nothing of the system changes, and no rights are needed for it. About 120 MB come down,
//! 560 MB stay.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Machine, Toolchain, private_folder};
use crate::process::{output_of, run};

/// The distribution's names for this machine and the other one.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// The compiler, and the package that depends on its standard library.
const COMPILER: &str = "rustc-web";
const LIBRARY: &str = "libstd-rust-web-dev";

/// Where lists of packages may be named.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

/// Runs the compiler with the libraries that came with it, wherever the folder is.
const WRAPPER: &str = r#"#!/bin/sh
# The compiler of this folder, with its own libraries.
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$root/usr/bin/rustc" "$@"
"#;

/// Fetches the toolchain, unless there is a compiler for `machine` already.
///
/// # Errors
///
/// Not a machine with Debian's packages, or one of its programs failed.
pub(crate) fn fetch(machine: Machine) -> Result<()> {
    if Toolchain::find(machine)?.is_some() {
        eprintln!("there is a compiler for {} already", machine.triple());
        return Ok(());
    }
    ensure!(
        (Machine::host()?, machine) == (Machine::X86_64, Machine::Aarch64),
        "only a toolchain on x86-64 for aarch64 can be fetched; run `rustup target add {}`",
        machine.triple()
    );
    let folder = private_folder();
    // Under another name until it is whole, so that a fetch that was cut short leaves nothing that looks right.
    let unfinished = folder.with_extension("unfinished");
    remove(&unfinished)?;
    remove(&folder)?;
    unpack(&unfinished).with_context(|| {
        let triple = machine.triple();
        format!("no toolchain can be fetched here; run `rustup target add {triple}` instead")
    })?;
    fs::rename(&unfinished, &folder).with_context(|| {
        format!("cannot rename {} to {}", unfinished.display(), folder.display())
    })?;
    ensure!(
        Toolchain::find(machine)?.is_some(),
        "the packages in {} hold no libraries of {}",
        folder.display(),
        machine.triple()
    );
    println!("fetched {}", folder.display());
    Ok(())
}

/// Downloads the packages and unpacks them below `folder`.
fn unpack(folder: &Path) -> Result<()> {
    let state = PackageState::set_up(folder)?;
    let [native, foreign] = ARCHITECTURES;
    run(state.command("apt-get").args(["update", "-qq"]))?;
    let library = state.dependency(LIBRARY, native, "libstd-rust-web-1")?;
    let llvm = state.dependency(&library, native, "libllvm")?;
    let packages = [
        format!("{COMPILER}:{native}"),
        format!("{library}:{native}"),
        format!("{llvm}:{native}"),
        format!("{LIBRARY}:{native}"),
        format!("{LIBRARY}:{foreign}"),
    ];
    let downloads = folder.join("packages");
    create(&downloads)?;
    let mut download = state.command("apt-get");
    run(download.args(["download", "-qq"]).args(packages).current_dir(&downloads))?;
    for package in files_in(&downloads)? {
        run(Command::new("dpkg").arg("-x").arg(&package).arg(folder.join("root")))?;
    }
    for unneeded in [downloads, folder.join("apt")] {
        remove(&unneeded)?;
    }
    write_wrapper(&folder.join("bin"))
}

/// Writes the program that stands for the compiler.
fn write_wrapper(folder: &Path) -> Result<()> {
    create(folder)?;
    let wrapper = folder.join("rustc");
    let shown = wrapper.display().to_string();
    fs::write(&wrapper, WRAPPER).with_context(|| format!("cannot write {shown}"))?;
    let all_may_run_it = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&wrapper, all_may_run_it).with_context(|| format!("cannot mark {shown}"))
}

/// A state of the package tools below a folder of its own.
struct PackageState {
    config: PathBuf,
}

impl PackageState {
    /// Makes the folders and the configuration that names them.
    fn set_up(folder: &Path) -> Result<Self> {
        let state = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial", "sources.d"] {
            create(&state.join(part))?;
        }
        let sources = SOURCES.iter().map(Path::new).find(|path| path.is_file());
        let sources = sources.with_context(|| format!("none of {} is here", SOURCES.join(", ")))?;
        let name = sources.file_name().context("a list of packages without a name")?;
        // Only the distribution's own: others need not know the second architecture.
        symlink(sources, state.join("sources.d").join(name))
            .with_context(|| format!("cannot link to {}", sources.display()))?;
        let config = state.join("apt.conf");
        fs::write(&config, Self::config(&state))
            .with_context(|| format!("cannot write {}", config.display()))?;
        Ok(Self { config })
    }

    /// The configuration's text.
    fn config(state: &Path) -> String {
        let state = state.display();
        let [native, foreign] = ARCHITECTURES;
        format!(
            "APT::Architecture \"{native}\";\n\
             APT::Architectures {{ \"{native}\"; \"{foreign}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n\
             Dir::State::lists \"{state}/lists/\";\n\
             Dir::Cache \"{state}/cache/\";\n\
             Dir::Etc::sourcelist \"/dev/null\";\n\
             Dir::Etc::sourceparts \"{state}/sources.d/\";\n"
        )
    }

    /// One of the package tools, with this state.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config);
        command
    }

    /// The package that `package` depends on and whose name starts with `prefix`.
    fn dependency(&self, package: &str, architecture: &str, prefix: &str) -> Result<String> {
        let package = format!("{package}:{architecture}");
        let text = output_of(self.command("apt-cache").args(["depends", &package]))?;
        match dependency_in(&text, prefix) {
            Some(name) => Ok(name),
            None => bail!("{package} depends on no {prefix}…"),
        }
    }
}

/// The first dependency in the output of `apt-cache depends` whose name starts with `prefix`.
fn dependency_in(text: &str, prefix: &str) -> Option<String> {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.map(str::trim).find(|name| name.starts_with(prefix)).map(str::to_owned)
}

/// The files in a folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: std::io::Result<Vec<_>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.with_context(|| format!("cannot read {}", folder.display()))
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Removes a folder, if there is one.
fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_by_how_its_name_starts() {
        let text = "libstd-rust-web-dev\n  Depends: libc6\n  Depends: libstd-rust-web-1.85\n  \
                    Suggests: libstd-rust-web-1.0\n";
        assert_eq!(dependency_in(text, "libstd-rust-web-1"), Some("libstd-rust-web-1.85".into()));
        assert_eq!(dependency_in(text, "libllvm"), None);
    }

    #[test]
    fn the_package_state_is_below_its_folder_alone() {
        let text = PackageState::config(Path::new("/some/state"));
        let folders = text.lines().filter(|line| line.starts_with("Dir::"));
        for line in folders {
            assert!(line.contains("\"/some/state/") || line.contains("\"/dev/null\""), "{line}");
        }
        assert!(text.contains("\"amd64\"; \"arm64\";"), "{text}");
    }
}
