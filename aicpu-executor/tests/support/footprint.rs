//! What this process holds of the machine: memory, mappings, files.

use std::fs;

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory that belongs to this process alone or is anonymous, in KiB.
    pub resident_kib: i64,
    /// Mapped ranges of addresses.
    pub mappings: usize,
    /// Open files.
    pub files: usize,
}

impl Footprint {
    /// Makes the allocator give large blocks back at once. Otherwise it keeps those of the tests'
    /// own vectors, and that looks like growth; the loader itself allocates nothing.
    pub fn settle_allocator() {
        // SAFETY: changes when memory is given back, and touches nothing that is in use.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10) };
    }

    /// Measures this process.
    pub fn now() -> Self {
        let read =
            |path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = read("/proc/self/status");
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            number.and_then(|text| text.trim().parse::<i64>().ok()).expect("Linux says so")
        };
        Self {
            // Pages of files are shared with the page cache; they come and go by themselves.
            resident_kib: kib("RssAnon:") + kib("RssShmem:"),
            mappings: read("/proc/self/maps").lines().count(),
            files: fs::read_dir("/proc/self/fd").expect("Linux lists open files").count(),
        }
    }
}
