//! Links an archive to a shared object, stripped, and to its unstripped twin.
//!
//! The log decoder and debuggers read the twin, so it must have the same Build-ID. A linker computes one
//! from all that it writes, which differs; so it is computed here, from the stripped image with an id of
//! zeroes, and given to the linker for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cross::{self, Machine};
use crate::process::{root, run_quietly};

/// Bytes of a Build-ID, as most linkers make them.
pub(crate) const BUILD_ID_BYTES: usize = 20;

/// What to link.
pub(super) struct Job<'a> {
    pub(super) machine: Machine,
    pub(super) archive: &'a Path,
    pub(super) exports: &'a [&'a str],
    /// Where the files go.
    pub(super) folder: &'a Path,
}

/// A linked image.
pub(super) struct Image {
    pub(super) stripped: PathBuf,
    pub(super) unstripped: PathBuf,
}

/// Links.
///
/// # Errors
///
/// The linker fails, or a file cannot be written.
pub(super) fn image(job: &Job<'_>) -> Result<Image> {
    let folder = job.folder;
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let stripped = Output { name: "libaicpu.so", is_stripped: true };
    let unstripped = Output { name: "libaicpu.unstripped.so", is_stripped: false };

    let draft = link(job, &stripped, &[0; BUILD_ID_BYTES])?;
    let digest = Sha256::digest(super::read(&draft)?);
    let (build_id, _) = digest.split_at(BUILD_ID_BYTES);
    Ok(Image {
        stripped: publish(&link(job, &stripped, build_id)?)?,
        unstripped: publish(&link(job, &unstripped, build_id)?)?,
    })
}

/// One of the two files.
struct Output {
    name: &'static str,
    is_stripped: bool,
}

/// What a file is called until it is whole; the number keeps builds that run side by side apart.
fn draft_name(name: &str) -> String {
    format!("{name}.{}.draft", std::process::id())
}

/// Takes the place of the file that was there: whoever has that open keeps it.
fn publish(draft: &Path) -> Result<PathBuf> {
    // `draft_name` appended two parts.
    let file = draft.with_extension("").with_extension("");
    fs::rename(draft, &file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Links one file, under the name of a draft.
fn link(job: &Job<'_>, output: &Output, build_id: &[u8]) -> Result<PathBuf> {
    let versions = job.folder.join(draft_name("exports"));
    let text = format!("{{ global: {}; local: *; }};\n", job.exports.join("; "));
    fs::write(&versions, text).with_context(|| format!("cannot write {}", versions.display()))?;
    let draft = job.folder.join(draft_name(output.name));
    let linked = run_quietly(&mut command(job, output, build_id, &versions, &draft)?);
    let _nothing_to_remove = fs::remove_file(&versions);
    linked.map(|()| draft)
}

/// The linker's command.
fn command(
    job: &Job<'_>,
    output: &Output,
    build_id: &[u8],
    versions: &Path,
    draft: &Path,
) -> Result<Command> {
    let mut command = cross::linker()?;
    command.args([
        "-m",
        job.machine.emulation(),
        "-shared",
        "--no-undefined",
        "--gc-sections",
        "--eh-frame-hdr",
    ]);
    command.args(["-z", "now", "-z", "relro", "-z", "noexecstack", "-z", "text"]);
    // The largest pages that Linux has on aarch64.
    command.args(["-z", "max-page-size=65536", "-z", "separate-code"]);
    let digits: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    command.arg(format!("--build-id=0x{digits}"));
    if output.is_stripped {
        command.arg("--strip-all");
    }
    // Bound within the image, whatever else the process has loaded: the driver's server opens every library
    // for all.
    command.args(["-Bsymbolic", "-soname", "libaicpu.so", "-T"]);
    command.arg(root().join("aicpu-executor/firmware/link.x"));
    command.arg(format!("--version-script={}", versions.display()));
    for export in job.exports {
        command.args(["-u", export]);
    }
    command.arg(job.archive).arg("-o").arg(draft);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_takes_the_place_of_the_file_before() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["libaicpu.so", "libaicpu.unstripped.so"] {
            for content in ["first", "second"] {
                let draft = folder.join(draft_name(name));
                fs::write(&draft, content).unwrap();
                let file = publish(&draft).unwrap();
                assert_eq!(file, folder.join(name));
                assert_eq!(fs::read_to_string(file).unwrap(), content);
                assert!(!draft.exists());
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
