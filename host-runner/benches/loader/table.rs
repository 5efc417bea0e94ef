//! The tables on standard output.

use std::fmt::Write;

use crate::record::{Record, Row};

/// Renders all that was measured.
pub(crate) fn render(record: &Record) -> String {
    let mut text = String::new();
    let Record { setting, .. } = record;
    push(
        &mut text,
        format_args!(
            "pinned to one processor: {}; raised priority: {}; files in memory: {}\n",
            yes(setting.pinned),
            yes(setting.raised),
            yes(setting.files_in_memory),
        ),
    );
    for image in &record.images {
        push(
            &mut text,
            format_args!(
                "image {:<12} {:>10} bytes, span {:>10}, {:>6} relative and {:>5} symbolic \
                 relocations, {:>3} imports, {:>5} exports\n",
                image.image,
                image.file_bytes,
                image.span_bytes,
                image.relative,
                image.symbolic,
                image.imports,
                image.exports,
            ),
        );
    }
    rows(&mut text, record);
    targets(&mut text, record);
    text
}

/// The rows, with their ratios to the two methods of the system.
fn rows(text: &mut String, record: &Record) {
    push(
        text,
        format_args!(
            "\n{:<30} {:<11} {:>11} {:>11} {:>11} {:>11} {:>7} {:>8} {:>8} {:>6}\n",
            "method",
            "image",
            "median µs",
            "p90 µs",
            "min µs",
            "max µs",
            "rounds",
            "x glibc",
            "x staged",
            "calls"
        ),
    );
    for row in &record.rows {
        let ratio = |method| match anchor(record, method, row.image) {
            Some(anchor) if anchor > 0 => format!("{:.3}", row.median_ns as f64 / anchor as f64),
            _ => String::from("-"),
        };
        let calls = record
            .system_calls
            .iter()
            .find(|calls| (calls.method, calls.image) == (row.method, row.image))
            .map_or_else(|| String::from("-"), |calls| format!("{:.1}", calls.per_load));
        push(
            text,
            format_args!(
                "{:<30} {:<11} {:>11.2} {:>11.2} {:>11.2} {:>11.2} {:>7} {:>8} {:>8} {:>6}\n",
                row.method,
                row.image,
                microseconds(row.median_ns),
                microseconds(row.p90_ns),
                microseconds(row.min_ns),
                microseconds(row.max_ns),
                row.rounds,
                ratio("glibc"),
                ratio("staged_dlopen"),
                calls,
            ),
        );
    }
}

/// The bars.
fn targets(text: &mut String, record: &Record) {
    push(
        text,
        format_args!("\n{:<24} {:>10} {:>12} {:<6} met\n", "target", "at most", "measured", "unit"),
    );
    for target in &record.targets {
        let measured = target.measured.map_or_else(|| String::from("-"), |value| value.to_string());
        let met = match target.is_met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "not measured",
        };
        push(
            text,
            format_args!(
                "{:<24} {:>10} {:>12} {:<6} {met}\n",
                target.id, target.target, measured, target.unit
            ),
        );
    }
}

/// Median of a method with this image, or with the small one, of which the others are variants.
fn anchor(record: &Record, method: &str, image: &str) -> Option<u64> {
    let median = |image: &str| {
        let is_it = |row: &&Row| row.method == method && row.image == image;
        record.rows.iter().find(is_it).map(|row| row.median_ns)
    };
    median(image).or_else(|| median("small"))
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Appends formatted text.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A string takes any text.
    let _ = text.write_fmt(arguments);
}
