//! The text file in which perf looks up code that is in no file: `perf-PID.map`.
//!
//! One line a function: start and size in hexadecimal digits, and the name. perf reads it after the
//! process has ended, so lines are only ever added, and the file stays. Where code takes the place
//! of other code, perf cannot tell the two apart.
//!
//! The usual folder is open to everybody. So the file is opened without following a link, readable
//! for its owner only, and not written to unless it is an ordinary file of this user.
//!
//! Source: the Linux kernel's `tools/perf/Documentation/jit-interface.txt`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::functions::ListedFunction;

/// Why there is no map for perf.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerfMapError {
    /// The file cannot be opened or made.
    #[error("cannot write {} for perf; name a folder that can be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else's file, a file with several names, or no file at all.
    #[error(
        "{} was not made by this user as an ordinary file, so nothing is written to it; remove it",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The map of this process.
#[derive(Debug)]
pub(super) struct PerfMap {
    path: PathBuf,
    file: File,
}

impl PerfMap {
    /// Opens or makes the map of this process in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, PerfMapError> {
        let path = folder.join(format!("perf-{}.map", std::process::id()));
        let failed = |source| PerfMapError::Open { path: path.clone(), source };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            // Without waiting for a reader, should it be a pipe.
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(&path)
            .map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        let is_ours = facts.uid() == rustix::process::geteuid().as_raw();
        if !facts.is_file() || !is_ours || facts.nlink() != 1 {
            return Err(PerfMapError::Foreign { path });
        }
        Ok(Self { path, file })
    }

    /// Adds the functions of an orchestration. A failure costs the lines and is logged.
    pub(super) fn append(&self, callable: &str, functions: &[ListedFunction<'_>]) {
        let mut text = Vec::new();
        let callable = printable(callable.as_bytes());
        for ListedFunction { name, address, bytes, .. } in functions {
            let name = printable(name);
            // Writing to memory does not fail.
            let _written = writeln!(text, "{address:x} {bytes:x} {name} [{callable}]");
        }
        // One write, which the system puts at the end as a whole.
        if let Err(error) = (&self.file).write_all(&text) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "functions are missing in the map for perf");
        }
    }
}

/// Names come out of files: what would break the line, or is no text, is replaced.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|character| if character.is_control() { '?' } else { character })
        .collect()
}
