//! `cargo xtask mutants`: a million broken images, and 100,000 loads and refusals.
//!
//! The work is done by the loader's own tests, optimised but with every check of arithmetic, one
//! process per lane, so that a crash ends a lane and not the count: the seed at work is in a file,
//! the lane starts again behind it, and the crash stands in the table.
//!
//! ```text
//!  xtask ── LOADER_SEED, LOADER_MUTANTS, LOADER_STATE ──▶ test program
//!        ◀── campaign <lane> next=… refused=… … (twice a second) ── (stdout)
//!        ◀── seed at work and counts (file), exit code or signal ──
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output_of, root};

/// Exit code of a lane that stopped because a mutant hung.
const HANG_EXIT_CODE: i32 = 70;

/// Crashes and hangs after which a lane is given up.
const STOPS_MAX: usize = 20;

/// A part of the work: one test in one test program.
struct Lane {
    /// What the test calls itself in its lines.
    name: &'static str,
    what: &'static str,
    program: &'static str,
    test: &'static str,
}

const LANES: [Lane; 3] = [
    Lane {
        name: "memory",
        what: "checked memory, compared with a model",
        program: "loader_mutants",
        test: "no_mutant_panics_or_writes_outside_its_image",
    },
    Lane {
        name: "pages",
        what: "real pages between guard pages",
        program: "loader_mutants_native",
        test: "no_mutant_stays_in_real_memory_or_leaves_its_pages",
    },
    Lane {
        name: "unwind",
        what: "unwind tables, registered and searched",
        program: "loader_mutants_unwind",
        test: "registered_tables_of_mutants_can_be_searched",
    },
];

/// The program with the loads and refusals without growth.
const CYCLES: &str = "loader_growth";

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Mutants of each lane.
    pub(crate) count: u64,
    /// First seed.
    pub(crate) seed: u64,
    /// Loads, and refusals.
    pub(crate) cycles: u64,
}

/// What became of the mutants of a lane.
#[derive(Debug, Default)]
struct Outcome {
    counts: BTreeMap<String, i64>,
    crashes: Vec<u64>,
    hangs: Vec<u64>,
    seconds: f64,
}

/// Runs all lanes and prints what became of the mutants.
///
/// # Errors
///
/// A mutant crashed, hung, panicked or left something behind, or the tests do not build.
pub(crate) fn run(work: Work) -> Result<()> {
    let programs = build()?;
    let program = |name: &str| programs.get(name).with_context(|| format!("no program `{name}`"));
    let mut lines = Vec::new();
    let mut is_good = true;
    for lane in &LANES {
        let outcome = run_lane(lane, program(lane.program)?, work)?;
        is_good &= outcome.is_good();
        lines.push(outcome.line(lane.name));
    }
    let growth = run_cycles(program(CYCLES)?, work)?;
    is_good &= growth.succeeded;
    println!(
        "lane     mutants  refused   failed   loaded  panics  crashes  hangs    growth    time"
    );
    lines.iter().for_each(|line| println!("{line}"));
    growth.lines.iter().for_each(|line| println!("{line}"));
    if !is_good {
        bail!("not all was well; `LOADER_SEED=<seed> LOADER_MUTANTS=1` repeats a mutant");
    }
    Ok(())
}

/// Builds the test programs and returns where they are.
fn build() -> Result<BTreeMap<String, PathBuf>> {
    let mut arguments = vec!["test", "--release", "--no-run", "--message-format=json"];
    arguments.extend(["-p", "aicpu-executor", "--test", CYCLES]);
    arguments.extend(LANES.iter().flat_map(|lane| ["--test", lane.program]));
    arguments.extend(["--target-dir", "target/mutants"]);
    let mut command = cargo(&arguments);
    // An overflow that a release build would not notice is a finding.
    command.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    command.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    let text = output_of(&mut command)?;
    let mut programs = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let message: serde_json::Value = serde_json::from_str(line).context("cargo's messages")?;
        let name = message.pointer("/target/name").and_then(|name| name.as_str());
        let path = message.get("executable").and_then(|path| path.as_str());
        if let (Some(name), Some(path)) = (name, path) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(programs)
}

/// Starts a test of a test program.
fn start(program: &Path, work: Work, test: &[&str], state: Option<&Path>) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(test).args(["--nocapture"]).current_dir(root().join("aicpu-executor"));
    command.env("LOADER_SEED", work.seed.to_string());
    command.env("LOADER_MUTANTS", work.count.to_string());
    command.env("LOADER_CYCLES", work.cycles.to_string());
    if let Some(state) = state {
        command.env("LOADER_STATE", state);
    }
    command.stdout(Stdio::piped());
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// Runs a lane to its end, behind every crash and hang again.
fn run_lane(lane: &Lane, program: &Path, work: Work) -> Result<Outcome> {
    eprintln!("== {}: {} mutants, {}", lane.name, work.count, lane.what);
    let state = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
    let (mut outcome, started) = (Outcome::default(), Instant::now());
    let end = work.seed + work.count;
    let mut next = work.seed;
    while next < end {
        let rest = Work { seed: next, count: end - next, ..work };
        let mut child = start(program, rest, &["--exact", lane.test], Some(&state))?;
        let mut last = BTreeMap::new();
        for line in lines_of(&mut child) {
            if let Some(counts) = counts_of(&line, lane.name) {
                show(lane.name, &counts, work);
                last = counts;
            } else if line.starts_with(lane.name) {
                // The seed and the reason of a mutant that panicked.
                println!("{line}");
            }
        }
        let status = child.wait().context("cannot wait for a lane")?;
        // The test's own verdict, good or bad: all mutants had their turn.
        let had_all = status.code().is_some_and(|code| code != HANG_EXIT_CODE);
        if had_all {
            outcome.add(last);
            break;
        }
        let (seed, counts) = state_of(&state)?;
        outcome.add(counts);
        let stops = if status.code().is_some() { &mut outcome.hangs } else { &mut outcome.crashes };
        stops.push(seed);
        next = seed + 1;
        if outcome.crashes.len() + outcome.hangs.len() > STOPS_MAX {
            break;
        }
    }
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    // A file that is gone is as good as a file that is removed.
    let _ = fs::remove_file(&state);
    outcome.seconds = started.elapsed().as_secs_f64();
    Ok(outcome)
}

/// Reads which seed a process was at when it ended, and what became of those before it.
fn state_of(state: &Path) -> Result<(u64, BTreeMap<String, i64>)> {
    let bytes = fs::read(state).context("a lane left no state behind")?;
    let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut names = ["refused", "failed", "loaded", "panicked"].map(str::to_owned).into_iter();
    let mut words = words.take(5);
    let seed = words.next().context("a lane left no seed behind")?;
    let counts = words.map_while(|count| Some((names.next()?, i64::try_from(count).ok()?)));
    Ok((seed, counts.collect()))
}

/// The lines a process prints; those that are no text are left out.
fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines().map_while(Result::ok))
}

/// Reads the counts of a lane from one of its lines.
fn counts_of(line: &str, lane: &str) -> Option<BTreeMap<String, i64>> {
    let rest = line.strip_prefix("campaign ")?.strip_prefix(lane)?;
    let counts = rest.split_whitespace().filter_map(|part| {
        let (name, count) = part.split_once('=')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    let counts: BTreeMap<_, _> = counts.collect();
    counts.contains_key("refused").then_some(counts)
}

/// Shows how far a lane is: on a terminal in place, elsewhere not at all.
fn show(lane: &str, counts: &BTreeMap<String, i64>, work: Work) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    let done = u64::try_from(count("next")).unwrap_or(0).saturating_sub(work.seed);
    let percent = done * 100 / work.count.max(1);
    let [refused, failed, loaded] = ["refused", "failed", "loaded"].map(count);
    eprint!("\r{lane} {percent:>3} %: {refused} refused, {failed} failed, {loaded} loaded ");
    // Nothing is lost if the terminal is.
    let _ = std::io::stderr().flush();
}

impl Outcome {
    /// Adds what became of some mutants.
    fn add(&mut self, counts: BTreeMap<String, i64>) {
        for (name, count) in counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    fn count(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Whether nothing bad happened, as the lane sees it.
    fn is_good(&self) -> bool {
        self.crashes.is_empty() && self.hangs.is_empty() && self.count("panicked") == 0
    }

    /// The line of the closing table.
    fn line(&self, lane: &str) -> String {
        let [refused, failed, loaded, panicked, growth] =
            ["refused", "failed", "loaded", "panicked", "growth_kib"].map(|name| self.count(name));
        let (crashes, hangs) = (self.crashes.len(), self.hangs.len());
        let stops = i64::try_from(crashes + hangs).unwrap_or(i64::MAX);
        let all = refused + failed + loaded + panicked + stops;
        let mut line = format!(
            "{lane:<7}{all:>9}{refused:>9}{failed:>9}{loaded:>9}{panicked:>8}{crashes:>9}{hangs:>7}\
             {growth:>6} KiB{:>6.1} s",
            self.seconds
        );
        for (what, seeds) in [("crashed", &self.crashes), ("hung", &self.hangs)] {
            if !seeds.is_empty() {
                line += &format!("\n  {what} at seeds {seeds:?}");
            }
        }
        line
    }
}

/// What became of the loads and refusals.
struct Growth {
    succeeded: bool,
    lines: Vec<String>,
}

/// Runs the loads and refusals.
fn run_cycles(program: &Path, work: Work) -> Result<Growth> {
    eprintln!("== cycles: {} loads, and as many refusals", work.cycles);
    let mut child = start(program, work, &[], None)?;
    let mut lines: Vec<_> = lines_of(&mut child)
        .filter_map(|line| line.strip_prefix("growth ").map(str::to_owned))
        .collect();
    lines.sort();
    let succeeded = child.wait().context("cannot wait for the cycles")?.success();
    Ok(Growth { succeeded, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_of_its_lane_and_no_others() {
        let line = "campaign pages next=7 refused=3 failed=1 loaded=2 panicked=0 growth_kib=-4";
        let counts = counts_of(line, "pages").unwrap();
        assert_eq!((counts["next"], counts["refused"], counts["growth_kib"]), (7, 3, -4));
        for other in ["campaign memory refused=3", "test campaign pages", "campaign pages hang=9"] {
            assert_eq!(counts_of(other, "pages"), None, "{other}");
        }
    }

    #[test]
    fn crashes_and_hangs_count_as_mutants_and_are_named() {
        let counts = [("refused", 5), ("loaded", 3)].map(|(name, count)| (name.to_owned(), count));
        let outcome =
            Outcome { counts: counts.into(), crashes: vec![11], hangs: vec![12, 13], seconds: 1.0 };
        let line = outcome.line("pages");
        assert!(line.starts_with("pages         11        5        0        3"), "{line}");
        assert!(line.contains("crashed at seeds [11]") && line.contains("hung at seeds [12, 13]"));
        assert!(!outcome.is_good());
        assert!(Outcome::default().is_good());
    }
}
