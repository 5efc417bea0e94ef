//! The tables on standard output.

use crate::record::{Record, Row};
use crate::targets::{self, Bar};

/// Renders all that was measured, and the change against an earlier record.
pub(crate) fn render(record: &Record, earlier: Option<&Record>) -> String {
    let mut lines = Vec::new();
    rows(&mut lines, record, earlier);
    lines.push(String::new());
    bars(&mut lines, record, earlier);
    lines.join("\n")
}

/// The rows.
fn rows(lines: &mut Vec<String>, record: &Record, earlier: Option<&Record>) {
    let change_title = if earlier.is_some() { "     before  change" } else { "" };
    lines.push(format!(
        "{:<34} {:>6} {:>12} {:>12} {:>12} {:>12} {:>7}{change_title}",
        "row, each per unit of work", "unit", "p50", "p90", "p99", "min", "rounds"
    ));
    for row in &record.rows {
        let Row { name, unit, p50, p90, p99, min, rounds, .. } = row;
        let before = earlier.and_then(|it| it.rows.iter().find(|row| row.name == *name));
        let change = change(before.map(|before| before.p50), *p50);
        lines.push(format!(
            "{name:<34} {unit:>6} {p50:>12.1} {p90:>12.1} {p99:>12.1} {min:>12.1} {rounds:>7}{change}"
        ));
    }
}

/// The bars.
fn bars(lines: &mut Vec<String>, record: &Record, earlier: Option<&Record>) {
    let change_title = if earlier.is_some() { "     before  change" } else { "" };
    lines.push(format!(
        "{:<22} {:>8} {:>14} {:>14} met{change_title}",
        "target", "unit", "at most", "measured"
    ));
    for target in &record.targets {
        let limit = targets::find(&target.id).map_or(f64::NAN, |Bar { limit, .. }| *limit);
        let (measured, met) = match target.measured {
            None => ("-".to_owned(), "not measured"),
            Some(value) if value <= limit => (figure(value), "yes"),
            Some(value) => (figure(value), "NO"),
        };
        let before = earlier.and_then(|it| it.targets.iter().find(|it| it.id == target.id));
        let before = before.and_then(|before| before.measured);
        let change = target.measured.map(|now| change(before, now)).unwrap_or_default();
        lines.push(format!(
            "{:<22} {:>8} {:>14} {measured:>14} {met}{change}",
            target.id,
            target.unit,
            figure(limit)
        ));
    }
}

/// What it was before, and how much more it is now; nothing where there is no before.
fn change(before: Option<f64>, now: f64) -> String {
    match before {
        None => String::new(),
        Some(before) if before == now => format!(" {:>10} {:>7}", figure(before), "="),
        Some(before) if before == 0.0 => format!(" {:>10} {:>7}", figure(before), "more"),
        Some(before) => {
            let percent = (now - before) / before * 100.0;
            format!(" {:>10} {percent:>+6.0}%", figure(before))
        }
    }
}

/// A number with as many digits as it has a meaning for.
fn figure(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
