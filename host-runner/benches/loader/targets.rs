//! The bars that the loader has to clear, each as a question to the rows.

use crate::record::{Row, SystemCalls, Target};

/// A row, by method and image.
#[derive(Debug, Clone, Copy)]
struct Key(&'static str, &'static str);

/// How a figure comes out of the rows.
#[derive(Debug, Clone, Copy)]
enum Question {
    /// Median of the first in medians of the second.
    MedianRatio(Key, Key),
    /// The same of the 90th percentiles.
    P90Ratio(Key, Key),
    /// Median in nanoseconds.
    Median(Key),
    /// System calls of a load.
    SystemCalls(Key),
}

/// A bar.
struct Bar {
    id: &'static str,
    question: Question,
    target: f64,
}

const GLIBC: Key = Key("glibc", "small");
const STAGED: Key = Key("staged_dlopen", "small");
const SAME: Key = Key("ours_warm_same", "small");

/// All bars, in the order of the table.
const BARS: &[Bar] = &[
    ratio("cold_vs_glibc", Key("ours_cold", "small"), GLIBC, 0.66),
    ratio("cold_vs_staged", Key("ours_cold", "small"), STAGED, 0.40),
    ratio("warm_vs_glibc", Key("ours_warm_changed", "small"), GLIBC, 0.35),
    ratio("hidden_vs_glibc", Key("ours_warm_hidden", "small"), GLIBC, 0.17),
    ratio("same_layout_vs_glibc", SAME, GLIBC, 0.05),
    Bar { id: "same_layout_syscalls", question: Question::SystemCalls(SAME), target: 0.0 },
    ratio("rotation_vs_glibc", Key("ours_rotation", "small"), GLIBC, 0.10),
    Bar {
        id: "sibling_p90",
        question: Question::P90Ratio(
            Key("ours_warm_same_with_sibling", "small"),
            Key("ours_warm_same_alone", "small"),
        ),
        target: 1.15,
    },
    ratio("big_file_vs_glibc", Key("ours_file", "big"), Key("glibc", "big"), 0.65),
    ratio("big_warm_vs_staged", Key("ours_warm_same", "big"), Key("staged_dlopen", "big"), 0.12),
    Bar {
        id: "dedup_31k_ns",
        question: Question::Median(Key("dedup_equal", "small")),
        target: 2_500.0,
    },
];

const fn ratio(id: &'static str, of: Key, to: Key, target: f64) -> Bar {
    Bar { id, question: Question::MedianRatio(of, to), target }
}

/// Answers all questions; those whose rows are missing stay open.
pub(crate) fn measure(rows: &[Row], system_calls: &[SystemCalls]) -> Vec<Target> {
    let row = |key: Key| rows.iter().find(|row| row.method == key.0 && row.image == key.1);
    let quotient = |of: u64, to: u64| (to > 0).then(|| rounded(of as f64 / to as f64));
    let measured = |question| match question {
        Question::MedianRatio(of, to) => quotient(row(of)?.median_ns, row(to)?.median_ns),
        Question::P90Ratio(of, to) => quotient(row(of)?.p90_ns, row(to)?.p90_ns),
        Question::Median(key) => Some(row(key)?.median_ns as f64),
        Question::SystemCalls(key) => {
            let calls = system_calls.iter().find(|at| at.method == key.0 && at.image == key.1);
            Some(calls?.per_load)
        }
    };
    let target = |bar: &Bar| Target {
        id: bar.id,
        measured: measured(bar.question),
        unit: match bar.question {
            Question::MedianRatio(..) | Question::P90Ratio(..) => "ratio",
            Question::Median(_) => "ns",
            Question::SystemCalls(_) => "calls",
        },
        target: bar.target,
    };
    BARS.iter().map(target).collect()
}

/// Four digits behind the point: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
