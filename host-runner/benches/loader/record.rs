//! What a run of the bench leaves behind: the JSON file. Its keys are stable.
//!
//! | key | what |
//! |---|---|
//! | `bench` | `"loader"` |
//! | `quick` | whether `--quick` made the figures coarse |
//! | `setting` | `pinned`: ran on one processor; `raised`: at a raised priority; `files_in_memory` |
//! | `images` | what was loaded: `image`, `file_bytes`, `span_bytes`, `relative`, `symbolic`, `imports`, `exports` |
//! | `rows` | one per `method` and `image`: `median`, `p90`, `min`, `max` in `unit` (`"ns"`) of `rounds` operations |
//! | `system_calls` | one per `method` and `image`: `per_load`, counted, not timed |
//! | `targets` | `id`, `measured` (null if it could not be measured here), `unit`, `target` (the most that meets it) |
//!
//! An operation is: load, resolve three exports, run the constructors, unload. Methods are those of
//! the table that the bench prints; a method or image that is added later is a new row.

use serde::Serialize;

use crate::statistics::Summary;

/// The whole file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    pub(crate) bench: &'static str,
    pub(crate) quick: bool,
    pub(crate) setting: Setting,
    pub(crate) images: Vec<Image>,
    pub(crate) rows: Vec<Row>,
    pub(crate) system_calls: Vec<SystemCalls>,
    pub(crate) targets: Vec<Target>,
}

/// How quiet the bench could make it for itself.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Setting {
    pub(crate) pinned: bool,
    pub(crate) raised: bool,
    pub(crate) files_in_memory: bool,
}

/// What was loaded.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Image {
    pub(crate) image: &'static str,
    pub(crate) file_bytes: usize,
    pub(crate) span_bytes: usize,
    pub(crate) relative: usize,
    pub(crate) symbolic: usize,
    pub(crate) imports: usize,
    pub(crate) exports: usize,
}

/// The figures of one method with one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) image: &'static str,
    #[serde(rename = "median")]
    pub(crate) median_ns: u64,
    #[serde(rename = "p90")]
    pub(crate) p90_ns: u64,
    #[serde(rename = "min")]
    pub(crate) min_ns: u64,
    #[serde(rename = "max")]
    pub(crate) max_ns: u64,
    pub(crate) unit: &'static str,
    pub(crate) rounds: usize,
}

impl Row {
    /// The row of timed operations; `None` if there are none.
    pub(crate) fn of(
        method: &'static str,
        image: &'static str,
        nanoseconds: &[u64],
    ) -> Option<Self> {
        let Summary { median, p90, min, max, rounds } = Summary::of(nanoseconds)?;
        Some(Self {
            method,
            image,
            median_ns: median,
            p90_ns: p90,
            min_ns: min,
            max_ns: max,
            unit: "ns",
            rounds,
        })
    }
}

/// How many system calls an operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct SystemCalls {
    pub(crate) method: &'static str,
    pub(crate) image: &'static str,
    pub(crate) per_load: f64,
}

/// A bar and what was measured against it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Target {
    pub(crate) id: &'static str,
    pub(crate) measured: Option<f64>,
    pub(crate) unit: &'static str,
    /// The highest figure that meets it.
    pub(crate) target: f64,
}

impl Target {
    /// Whether it is met; `None` if it was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.measured.map(|measured| measured <= self.target)
    }
}
