//! What can go wrong with a device of the vendor, with the numbers that its functions return.

use std::path::PathBuf;

use super::libraries::LibraryError;

/// What a number means and what to do about it; the numbers that are documented come first.
const CODES: &[(i32, &str, &str)] = &[
    (
        207_001,
        "no memory is left on the device",
        "free some, make the rings smaller, or look for an earlier error: this one often follows it",
    ),
    (
        507_018,
        "the AICPU program failed",
        "see the device's log; an image of another version is a usual reason",
    ),
    (100_002, "it was initialised before", "this is no error"),
    // `[U]` from here on: see `ffi`.
    (100_000, "an argument is not valid", "this is a defect here, or another version of CANN"),
    (107_000, "an argument is not valid", "this is a defect here, or another version of CANN"),
    (107_001, "there is no such device", "use a device that `npu-smi info` lists"),
    (107_002, "the calling thread has no context", "this is a defect here"),
    (107_003, "there is no such stream", "this is a defect here"),
    (
        107_020,
        "the stream was not done in time",
        "look for a kernel or an orchestration that never ends",
    ),
    (507_014, "a kernel took longer than the cores allow", "look for an endless loop in it"),
    (507_015, "a core took an exception", "look for a wrong address in a kernel"),
    (
        507_017,
        "the AICPU program took longer than allowed",
        "look for an endless loop in the orchestration",
    ),
    (507_033, "the device cannot be set", "see whether `npu-smi info` shows it, and who uses it"),
    (
        507_046,
        "the stream was not done in time",
        "look for a kernel or an orchestration that never ends",
    ),
    (507_899, "the driver failed", "see the system's log, and reset the device"),
];

/// Numbers that say that a stream was not done in time. `[U]`
const TIMEOUTS: [i32; 2] = [107_020, 507_046];

/// What waits for a stream.
pub const SYNCHRONIZE: &str = "aclrtSynchronizeStreamWithTimeout";

/// Says that something was initialised already.
const INITIALISED_BEFORE: i32 = 100_002;

/// Says that there is no memory left.
const NO_MEMORY: i32 = 207_001;

/// A function of the vendor that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Its name.
    pub call: &'static str,
    /// What it returned.
    pub code: i32,
    /// What it was called for.
    pub doing: &'static str,
}

impl CallError {
    /// Whether the number says that something is not done in time.
    pub fn is_timeout(&self) -> bool {
        TIMEOUTS.contains(&self.code)
    }

    /// Whether it was to wait for something, which may go on then.
    pub fn is_wait(&self) -> bool {
        self.call == SYNCHRONIZE
    }

    /// Whether the number says that there is no memory left.
    pub fn is_out_of_memory(&self) -> bool {
        self.code == NO_MEMORY
    }

    /// Whether the number says that what was asked for has been done before.
    pub fn is_done_before(&self) -> bool {
        self.code == INITIALISED_BEFORE
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, code, doing } = self;
        write!(f, "`{call}` returned {code} on {doing}: ")?;
        match CODES.iter().find(|(known, ..)| known == code) {
            Some((_, meaning, remedy)) => write!(f, "{meaning}; {remedy}"),
            None => f.write_str("see the vendor's list of codes, and the device's log"),
        }
    }
}

impl std::error::Error for CallError {}

/// Why there is no device of the vendor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannError {
    /// Its libraries.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A program that it needs is not there.
    #[error("there is no {what} for {chip}; {remedy}. Looked for: {}", shown(tried))]
    NoImage {
        /// Which program.
        what: &'static str,
        /// The chip.
        chip: &'static str,
        /// How to make it.
        remedy: String,
        /// Every place.
        tried: Vec<PathBuf>,
    },
    /// A program is not what it should be.
    #[error("{} is no {what}: {reason}; build it again", path.display())]
    BadImage {
        /// Which program.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A function of the vendor has failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The process has such a device already.
    #[error(
        "this process has a CANN device open, and the driver loads one AICPU program per process; \
         close the other worker first, or use another process"
    )]
    InUse,
    /// The process has had another AICPU program.
    #[error(
        "this process has loaded the AICPU program {} before, and the driver loads one per process, so \
         {} cannot follow; use another process", loaded.display(), wanted.display()
    )]
    AnotherProgram {
        /// The one that was loaded.
        loaded: PathBuf,
        /// The one that was asked for.
        wanted: PathBuf,
    },
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_says_its_name_the_number_and_what_to_do() {
        let error = CallError { call: "rtMalloc", code: 207_001, doing: "the heap of runs" };
        let text = error.to_string();
        assert!(
            text.starts_with("`rtMalloc` returned 207001 on the heap of runs: no memory"),
            "{text}"
        );
        assert!(text.contains("free some") && error.is_out_of_memory(), "{text}");
        let unknown = CallError { code: 4242, ..error };
        assert!(unknown.to_string().contains("4242") && !unknown.is_timeout());
    }

    #[test]
    fn every_number_is_listed_once() {
        let numbers: std::collections::BTreeSet<i32> = CODES.iter().map(|row| row.0).collect();
        assert_eq!(numbers.len(), CODES.len());
        assert!(TIMEOUTS.iter().all(|code| numbers.contains(code)));
    }
}
