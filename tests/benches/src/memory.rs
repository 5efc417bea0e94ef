//! Memory and idleness, each in a process of its own.

use anyhow::{Context as _, Result};

use crate::child::Errand;
use crate::record::{Findings, Row};

/// Measures them.
///
/// # Errors
///
/// A child fails.
pub(crate) fn measure(is_quick: bool, findings: &mut Findings) -> Result<()> {
    let rounds = if is_quick { 1 } else { 5 };
    let errands = [
        (Errand::Idle, ""),
        (Errand::BusyIndependent, "_independent"),
        (Errand::BusyChain, "_chain"),
        (Errand::BusyForkJoin, "_fork_join"),
    ];
    for (errand, suffix) in errands {
        let mut values: Vec<(String, Vec<f64>)> = Vec::new();
        for _ in 0..rounds {
            for (name, value) in errand.perform()? {
                match values.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, all)) => all.push(value),
                    None => values.push((name, vec![value])),
                }
            }
        }
        for (name, values) in values {
            let unit = if name.ends_with("percent") { "percent" } else { "bytes" };
            let row = Row::of(&format!("{name}{suffix}"), unit, 1, &values);
            findings.rows.push(row.context("a child that measures nothing")?);
        }
    }
    findings.median("idle_rss_bytes", "idle_rss_bytes", 1.0);
    findings.median("busy_rss_bytes", "busy_rss_bytes_independent", 1.0);
    // A tenth of a percent is what asking for the time costs.
    let percent = findings.row("idle_cpu_percent").map(|row| (row.p50 * 10.0).round() / 10.0);
    findings.measured("idle_cpu_percent", percent);
    Ok(())
}
