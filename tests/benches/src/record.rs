//! What a bench leaves behind: the JSON file. Its keys are stable.
//!
//! | key | what |
//! |---|---|
//! | `bench` | which of them ran |
//! | `quick` | whether `--quick` made the figures coarse |
//! | `setting` | `processors`, `block_dim`, `aicpu_threads` |
//! | `targets` | `id`, `measured` (null if it could not be measured here), `unit` |
//! | `rows` | `name`, `unit`, `per` (units of work in an operation), and per unit of work `p50`, `p90`, `p99`, `min`, `max` of `rounds` operations |
//!
//! A row that is added later is a new one; what a name means does not change.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::statistics::Summary;

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) bench: String,
    pub(crate) quick: bool,
    pub(crate) setting: Setting,
    pub(crate) targets: Vec<Target>,
    pub(crate) rows: Vec<Row>,
}

/// What it was measured on and with.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) processors: usize,
    pub(crate) block_dim: u32,
    pub(crate) aicpu_threads: u32,
}

/// A figure that has a bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) measured: Option<f64>,
    pub(crate) unit: String,
}

/// The figures of one subject, per unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) per: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
}

impl Row {
    /// The row of values of operations with `per` units of work each; `None` if there are none.
    pub(crate) fn of(name: &str, unit: &str, per: u64, values: &[f64]) -> Option<Self> {
        let Summary { p50, p90, p99, min, max, rounds } = Summary::of(values)?;
        // CAST: units of work are far below 2^53.
        let each = |value: f64| rounded(value / per as f64);
        Some(Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            per,
            p50: each(p50),
            p90: each(p90),
            p99: each(p99),
            min: each(min),
            max: each(max),
            rounds,
        })
    }
}

/// What the benches have measured so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The figures that have a bar, by id.
    pub(crate) measured: Vec<(&'static str, Option<f64>)>,
    /// All rows.
    pub(crate) rows: Vec<Row>,
}

impl Findings {
    /// Adds the figure of a bar.
    pub(crate) fn measured(&mut self, id: &'static str, value: impl Into<Option<f64>>) {
        self.measured.push((id, value.into().map(rounded)));
    }

    /// Adds the median of a row, if it was asked for, as the figure of a bar, `times` as much.
    pub(crate) fn median(&mut self, id: &'static str, row: &str, times: f64) {
        if let Some(row) = self.row(row) {
            self.measured(id, row.p50 * times);
        }
    }

    /// Adds the ratio of the medians of two rows, if both were asked for, as the figure of a bar.
    pub(crate) fn ratio(&mut self, id: &'static str, of: &str, to: &str) {
        if let Some((of, to)) = self.row(of).zip(self.row(to)) {
            self.measured(id, of.p50 / to.p50);
        }
    }

    /// The row of this name.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Record {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not the record of a bench.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not the record of a bench", path.display()))
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Three digits behind the point: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
