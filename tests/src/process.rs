//! What this process holds at a moment, for tests that nothing grows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What this process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Ranges of mapped memory.
    pub mappings: usize,
    /// Bytes of memory that are backed.
    pub resident: u64,
}

impl Holdings {
    /// As it is now.
    pub fn now() -> Self {
        Self {
            threads: entries("/proc/self/task"),
            // Listing the folder takes a descriptor itself.
            descriptors: entries("/proc/self/fd") - 1,
            mappings: fs::read_to_string("/proc/self/maps").expect("a list").lines().count(),
            resident: resident(),
        }
    }
}

/// How many threads of this process have a name that starts like this; the system knows 15 bytes
/// of it.
pub fn threads_named(prefix: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("a folder of this process");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

/// Files and folders in the places for temporary ones, and in the current folder, whose names are
/// those that implementations of this path give to unpacked code (spec callable §5.3, §7.2).
pub fn leftovers() -> BTreeSet<PathBuf> {
    let current = std::env::current_dir().expect("a current folder");
    let temporary = std::env::temp_dir();
    let folders = ["/tmp", "/var/tmp", "/dev/shm", "/usr/lib64"].map(Path::new);
    let folders = folders.into_iter().chain([current.as_path(), temporary.as_path()]);
    folders
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_unpacked_code(path))
        .collect()
}

/// Whether a file is named like code that was unpacked to be loaded.
fn is_unpacked_code(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let prefixes = ["libdevice_orch", "orch_so", "kernel_", "aicpu_sim", "aicore_sim"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) && !is_of_another_process(&name)
}

/// Whether the name says that the file is another process's, which may come and go meanwhile.
fn is_of_another_process(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libdevice_orch_") else { return false };
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse::<u32>().is_ok_and(|pid| pid != std::process::id())
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("a folder of this process").count()
}

fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("sizes of this process");
    let pages = text.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.expect("the second field is the resident size") * PAGE_BYTES
}

/// Bytes of a page of `statm` on the machines that tests run on.
const PAGE_BYTES: u64 = 4096;
