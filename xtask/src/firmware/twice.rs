//! Builds the firmware a second time, in another folder, and compares: whoever builds a version gets the same bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross::{self, Machine, Toolchain};
use crate::process::{output_of, root, run_quietly};

/// A folder that goes away with this.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // What stays is in the folder for temporary files.
        let _is_tidied_up = fs::remove_dir_all(&self.0);
    }
}

/// Builds images in a copy of the sources and compares each file with that of the first build: for this machine, and for
/// the others that there is a compiler for.
///
/// # Errors
///
/// The copy does not build, or a file differs.
pub(super) fn check() -> Result<()> {
    let copy = Copy(std::env::temp_dir().join(format!("firmware-twice-{}", std::process::id())));
    copy_sources(&copy.0)?;
    let mut files = 0;
    for machine in Machine::ALL {
        if let Some(toolchain) = Toolchain::find(machine)? {
            build(&copy.0, &toolchain)?;
            files += compare(&copy.0, machine)?;
        }
    }
    println!("{files} files are the same in two builds in two folders");
    Ok(())
}

/// Builds the images of a machine in a copy.
fn build(folder: &Path, toolchain: &Toolchain) -> Result<()> {
    let mut build = Command::new(std::env::current_exe().context("this program has no path")?);
    build.args(["build-aicpu", "--target", toolchain.machine().triple()]).current_dir(folder);
    build.env("XTASK_ROOT", folder).env("CARGO_TARGET_DIR", folder.join("target"));
    toolchain.pass_to(&mut build);
    eprintln!("$ build-aicpu, in {}", folder.display());
    run_quietly(&mut build)
}

/// Compares the images of a machine; says how many files there are.
fn compare(copy: &Path, machine: Machine) -> Result<usize> {
    let first = cross::target_folder().join("aicpu").join(machine.processor());
    let second = copy.join("target/aicpu").join(machine.processor());
    let mut files = 0;
    for chip in super::Chip::ALL {
        for abi in super::Abi::ALL {
            for name in ["libaicpu.so", "libaicpu.unstripped.so"] {
                let file = Path::new(chip.name()).join(abi.name()).join(name);
                if super::read(&first.join(&file))? != super::read(&second.join(&file))? {
                    bail!("{} differs between two builds in two folders", file.display());
                }
                files += 1;
            }
        }
    }
    Ok(files)
}

/// Copies what is not ignored.
fn copy_sources(to: &Path) -> Result<()> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = output_of(Command::new("git").args(arguments).current_dir(root()))?;
    for file in listed.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root().join(file), to.join(file));
        // One that was removed and is still listed.
        if !from.is_file() {
            continue;
        }
        let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
        fs::create_dir_all(to.parent().unwrap_or(&to)).with_context(cannot)?;
        fs::copy(&from, &to).with_context(cannot)?;
    }
    Ok(())
}
