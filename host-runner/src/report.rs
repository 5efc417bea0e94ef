//! What the command prints: a short table for people, one JSON object a case for programs.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use host_runner::image_cache::CacheCounters;
use host_runner::inspect::Inspection;
use host_runner::platform_name::PlatformName;
use host_runner::runtime_name::RuntimeName;
use serde::Serialize;

use crate::command::run::{CaseResult, Outcome};

pub(crate) mod inspection;

/// How the columns are aligned.
const ALIGNMENTS: [CellAlignment; 5] = [
    CellAlignment::Left,
    CellAlignment::Left,
    CellAlignment::Right,
    CellAlignment::Right,
    CellAlignment::Left,
];

/// Whether the table may hold colour codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Colour {
    /// For a pipe, a file or a user who wants none.
    Plain,
    /// For a terminal.
    Ansi,
}

/// The table of all cases, and below it a line for each thing that is wrong.
pub(crate) fn table(runtime: RuntimeName, results: &[CaseResult], colour: Colour) -> String {
    let mut table = plain_table(colour);
    table.set_header(["case", "runtime", "tasks", "time per run", "result"]);
    for result in results {
        let (word, shade) =
            if result.outcome.is_ok() { ("ok", Color::Green) } else { ("FAILED", Color::Red) };
        table.add_row([
            Cell::new(&result.name),
            Cell::new(runtime),
            Cell::new(result.tasks),
            Cell::new(time_per_run(&result.times)),
            Cell::new(word).fg(shade),
        ]);
    }
    let mut text = lines(aligned(table, &ALIGNMENTS));
    for result in results {
        for line in problems(result) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// A table without lines or borders.
fn plain_table(colour: Colour) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match colour {
        Colour::Plain => table.force_no_tty(),
        Colour::Ansi => table.enforce_styling(),
    };
    table
}

/// Aligns the columns of a finished table, with two blanks between them.
fn aligned(mut table: Table, alignments: &[CellAlignment]) -> Table {
    for (column, alignment) in table.column_iter_mut().zip(alignments) {
        column.set_padding((0, 2)).set_cell_alignment(*alignment);
    }
    table
}

/// The lines of a table.
fn lines(table: Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        // Cells are padded to their column; nobody needs that at the end of a line.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The lines below the table that belong to a case.
fn problems(result: &CaseResult) -> Vec<String> {
    let name = &result.name;
    match &result.outcome {
        Outcome::Passed { compared, outputs } if compared < outputs => {
            vec![format!("{name}: {compared} of {outputs} outputs have an expected value")]
        }
        Outcome::Passed { .. } => Vec::new(),
        Outcome::Mismatched { round, tensors } => tensors
            .iter()
            .map(|(tensor, mismatch)| format!("{name}: round {round}: {tensor}{mismatch}"))
            .collect(),
        Outcome::Failed { round, message } => vec![format!("{name}: round {round}: {message}")],
    }
}

/// The median, and for several rounds the slow end.
fn time_per_run(times: &[Duration]) -> String {
    let Some(times) = RunTimes::of(times) else { return "-".to_owned() };
    let median = short_time(times.p50);
    if times.rounds == 1 {
        return median;
    }
    format!("{median} (p90 {}, first {})", short_time(times.p90), short_time(times.first))
}

/// A time in its natural unit with three digits or so.
fn short_time(nanoseconds: u64) -> String {
    // CAST: a few digits are shown, so rounding is no matter.
    let value = nanoseconds as f64;
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// The times of the rounds, in nanoseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
struct RunTimes {
    /// The median.
    p50: u64,
    /// Nine of ten rounds took no longer.
    p90: u64,
    /// The first round.
    first: u64,
    /// How many rounds.
    #[serde(skip)]
    rounds: usize,
}

impl RunTimes {
    /// Sums up the rounds; `None` without any.
    fn of(times: &[Duration]) -> Option<Self> {
        let nanoseconds = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut sorted: Vec<u64> = times.iter().map(nanoseconds).collect();
        let first = *sorted.first()?;
        sorted.sort_unstable();
        // Nearest rank: the smallest time that `percent` of the rounds do not exceed.
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        Some(Self { p50: rank(50), p90: rank(90), first, rounds: sorted.len() })
    }
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct JsonCase<'a> {
    case: Option<&'a str>,
    platform: &'a str,
    /// `None` where the manifest was not read.
    runtime: Option<&'a str>,
    ok: bool,
    rounds: usize,
    tasks: u64,
    loads: u64,
    run_ns: Option<RunTimes>,
    /// What the image cache has done so far; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheCounters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError<'a>>,
}

/// Why a line says `"ok": false`.
#[derive(Debug, Serialize)]
struct JsonError<'a> {
    code: &'a str,
    message: String,
}

/// The JSON object of a case, without a newline.
pub(crate) fn json_line(
    platform: PlatformName,
    runtime: RuntimeName,
    result: &CaseResult,
    cache: Option<CacheCounters>,
) -> String {
    let code = match &result.outcome {
        Outcome::Passed { .. } => None,
        Outcome::Mismatched { .. } => Some("mismatch"),
        Outcome::Failed { .. } => Some("run"),
    };
    to_json(&JsonCase {
        case: Some(&result.name),
        platform: platform.name(),
        runtime: Some(runtime.name()),
        ok: code.is_none(),
        rounds: result.times.len(),
        tasks: result.tasks,
        loads: result.loads,
        run_ns: RunTimes::of(&result.times),
        cache,
        error: code.map(|code| JsonError { code, message: problems(result).join("; ") }),
    })
}

/// The JSON object of a failure before the first case, which therefore has no name.
pub(crate) fn json_failure(platform: PlatformName, code: &str, message: &str) -> String {
    to_json(&JsonCase {
        case: None,
        platform: platform.name(),
        runtime: None,
        ok: false,
        rounds: 0,
        tasks: 0,
        loads: 0,
        run_ns: None,
        cache: None,
        error: Some(JsonError { code, message: message.to_owned() }),
    })
}

/// The line of `inspect --json`.
#[derive(Debug, Serialize)]
struct JsonInspection<'a> {
    file: &'a str,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

/// The JSON object of an inspection, without a newline.
pub(crate) fn json_inspection(file: &str, inspection: &Inspection) -> String {
    to_json(&JsonInspection { file, inspection })
}

/// A file that could not be inspected.
#[derive(Debug, Serialize)]
struct JsonUnread<'a> {
    file: &'a str,
    loads: bool,
    error: JsonError<'a>,
}

/// The JSON object of a file that could not be read, without a newline.
pub(crate) fn json_unread(file: &str, code: &str, message: String) -> String {
    to_json(&JsonUnread { file, loads: false, error: JsonError { code, message } })
}

/// Writes one line of JSON.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and strings always serialize")
}

#[cfg(test)]
mod tests;
