//! `bench instructions`: how many instructions the hot paths take, as a gate: such counts are the same on a
//! busy machine, and a change of a few percent shows.
//!
//! ```text
//!  valgrind --tool=callgrind ─▶ this program with an errand: mark, section, mark, section, …
//!       └── a file for each section ─▶ costs of functions ─▶ per unit of work ─▶ limits
//! ```
//!
//! What waits for another thread is left out: how often it looks depends on the clock. On a busy machine the device
//! finds brief kernels long, and leaves them to other threads; so everything is counted several times, and the
//! least counts. Limits are in `instructions.json`; `cargo xtask bench instructions -- --renew` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::child::Errand;
use crate::record::{Findings, Row};

mod callgrind;
pub(crate) mod sections;

use sections::Section;

/// How many times what was measured a limit is.
const HEADROOM: f64 = 1.05;

/// How much less than its limit a figure is that could have a lower one.
const SLACK: f64 = 0.85;

/// How often everything is counted; the fewest instructions count.
const ROUNDS: u32 = 3;

/// The limits, by section.
type Limits = BTreeMap<String, f64>;

/// Counts, and compares with the limits or renews them.
///
/// # Errors
///
/// There is no valgrind, something does not work, or a limit is exceeded.
pub(crate) fn measure(renews: bool, findings: &mut Findings) -> Result<()> {
    let mut counts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, count) in count()? {
            counts.entry(name).or_default().push(count);
        }
    }
    let rows = counts.iter().filter_map(|(name, counts)| Row::of(name, "instr", 1, counts));
    let rows: Vec<Row> = rows.collect();
    findings.rows.extend(rows.iter().cloned());
    if renews {
        // Above the middle, so that a check, of which the fewest count, passes unless something changed.
        let limit = |row: &Row| (row.name.clone(), (row.p50 * HEADROOM).ceil());
        return save(&rows.iter().map(limit).collect());
    }
    check(&rows, &load()?)
}

/// Compares with the limits.
fn check(rows: &[Row], limits: &Limits) -> Result<()> {
    let mut exceeded = Vec::new();
    for Row { name, min, .. } in rows {
        let limit = limits.get(name);
        let limit = limit.with_context(|| format!("`{name}` has no limit; renew them"))?;
        if min > limit {
            exceeded.push(format!("{name}: {min:.0} instructions, at most {limit:.0}"));
        } else if *min < limit * SLACK {
            eprintln!("{name}: {min:.0} instructions; its limit of {limit:.0} can be renewed");
        }
    }
    ensure!(
        exceeded.is_empty(),
        "more instructions than before; where that is meant, renew the limits \
         (cargo xtask bench instructions -- --renew):\n{}",
        exceeded.join("\n")
    );
    Ok(())
}

/// Counts the instructions of each section, per unit of work: the fewest of its windows.
fn count() -> Result<BTreeMap<String, f64>> {
    let folder = tempfile::tempdir().context("no folder for counts")?;
    let errand = Errand::Sections.command()?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--smc-check=all-non-file", "-q"])
        .arg(format!("--dump-before={}", sections::MARK))
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(errand.get_program())
        .args(errand.get_args())
        .stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().context("cannot start valgrind")?;
    ensure!(output.status.success(), "valgrind ended with {}", output.status);
    let text = String::from_utf8(output.stdout).context("a child prints no UTF-8")?;
    let sections: Vec<Section> = text.lines().filter_map(Section::of_line).collect();
    ensure!(!sections.is_empty(), "the child has told of no section");
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    // The first part is what was before the first mark.
    for (section, part) in sections.iter().zip(2..) {
        if section.name == sections::UNCOUNTED {
            continue;
        }
        // CAST: (both) counts are far below 2^53.
        let count = cost_of(folder.path(), part, section)? as f64 / section.per as f64;
        let least = counts.entry(section.name.clone()).or_insert(count);
        *least = least.min(count);
    }
    Ok(counts)
}

/// Instructions of a part, but for waiting: of all threads, or of the caller's.
fn cost_of(folder: &Path, part: u32, section: &Section) -> Result<u64> {
    let path = folder.join(format!("out.{part}"));
    let name = &section.name;
    let text = fs::read_to_string(&path)
        .with_context(|| format!("valgrind has written no counts of `{name}`"))?;
    let cost = |function: &&str| {
        let cost = callgrind::cost_of_calls(&text, |called| called.ends_with(function));
        cost.with_context(|| format!("`{name}` calls no `{function}`: renamed, or inlined?"))
    };
    if section.is_of_caller {
        return cost(&sections::WORKING[0]);
    }
    let working: u64 = sections::WORKING.iter().map(cost).sum::<Result<_>>()?;
    let waiting: u64 = sections::WAITING.iter().map(cost).sum::<Result<_>>()?;
    Ok(working.saturating_sub(waiting))
}

/// Where the limits are.
fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

fn load() -> Result<Limits> {
    let text = fs::read(path()).with_context(|| format!("cannot read {}", path().display()))?;
    serde_json::from_slice(&text).context("the limits are no list of names and numbers")
}

fn save(limits: &Limits) -> Result<()> {
    let mut text = serde_json::to_string_pretty(limits)?;
    text.push('\n');
    fs::write(path(), text).with_context(|| format!("cannot write {}", path().display()))
}
