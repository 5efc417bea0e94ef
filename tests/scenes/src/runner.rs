//! The parent's part: which scenes run, each in a process of its own, one after the other.
//!
//! One after the other, because a simulated device has more threads than this machine has
//! processors; side by side, times would mean nothing.

use std::ops::{Range, RangeInclusive};
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use protocol::{A2a3, A5, Chip as _, ChipName};

use crate::child;
use crate::device_kind::DeviceKind;
use crate::performance::Extent;
use crate::row::Row;
use crate::scene::Scene;

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// One chip, or all.
    pub chip: Option<ChipName>,
    /// One number of AICPU threads, or all that the chip has.
    pub threads: Option<u32>,
    /// Scenes whose names contain this, or all.
    pub scene: Option<String>,
    /// Seeds for small cases; none runs all cases, as it comes.
    pub seeds: Range<u64>,
    /// Whether small cases only are run, as with seeds.
    pub small: bool,
    /// The kind of device.
    pub kind: DeviceKind,
}

/// All numbers of AICPU threads that a run on a chip may have.
#[must_use]
pub fn all_threads(chip: ChipName) -> RangeInclusive<u32> {
    let most = match chip {
        ChipName::A2a3 => A2a3::MAX_AICPU_THREADS,
        ChipName::A5 => A5::MAX_AICPU_THREADS,
    };
    // CAST: a handful.
    1..=most as u32
}

impl Selection {
    /// What runs of the scenes that are chosen, in order.
    ///
    /// # Errors
    ///
    /// Nothing would run.
    pub fn plan<'a>(&self, scenes: &'a [Scene]) -> Result<Vec<(&'a Scene, Extent)>> {
        let pattern = self.scene.as_deref().unwrap_or_default();
        let mut plan = Vec::new();
        for scene in scenes.iter().filter(|scene| scene.name.contains(pattern)) {
            for &chip in crate::scene::BOTH_CHIPS {
                let is_wanted = self.chip.is_none_or(|wanted| wanted == chip);
                let threads = self.threads.map_or(all_threads(chip), |one| one..=one);
                if !all_threads(chip).contains(threads.start()) {
                    continue;
                }
                let (seeds, small, kind) = (self.seeds.clone(), self.small, self.kind);
                let extent = Extent { chip, threads, seeds, small, kind };
                if is_wanted && scene.cases.iter().any(|case| extent.has(case)) {
                    plan.push((scene, extent));
                }
            }
        }
        if plan.is_empty() {
            bail!(
                "nothing to run: `scenes --list` names the scenes; a2a3 has {} AICPU threads, a5 {}",
                A2a3::MAX_AICPU_THREADS,
                A5::MAX_AICPU_THREADS
            );
        }
        Ok(plan)
    }
}

/// Runs all parts of a plan and returns their rows in its order.
///
/// One after the other, but under seeds as many at once as there are processors: then a child runs one
/// thread at a time, and its times mean nothing anyway.
///
/// # Errors
///
/// As [`run_in_child`].
pub fn run_in_children(
    plan: &[(&Scene, Extent)],
    limit: Duration,
    begins: &(dyn Fn(&str, ChipName) + Sync),
) -> Result<Vec<Row>> {
    let by_seed = plan.iter().any(|(_, extent)| !extent.seeds.is_empty());
    let at_once = if by_seed { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let parts: Vec<(&str, &Extent)> =
        plan.iter().map(|(scene, extent)| (scene.name, extent)).collect();
    let next = AtomicUsize::new(0);
    let serve = || {
        let mut rows = Vec::new();
        // ORDERING: Relaxed: a ticket.
        while let Some(index) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < parts.len())
        {
            let (name, extent) = parts[index];
            begins(name, extent.chip);
            rows.push((index, run_in_child(name, extent, limit)));
        }
        rows
    };
    let mut rows = thread::scope(|scope| {
        let servers: Vec<_> = (0..at_once).map(|_| scope.spawn(serve)).collect();
        let joined = servers.into_iter().map(|server| server.join());
        joined
            .flat_map(|rows| rows.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Runs a part of the plan in a process of its own: this program with the arguments of a child.
///
/// # Errors
///
/// The process cannot be started.
pub fn run_in_child(scene: &str, extent: &Extent, limit: Duration) -> Result<Row> {
    let program = std::env::current_exe().context("no path of this program")?;
    let Extent { chip, threads, seeds, small, kind } = extent;
    let range = format!("{}-{}", threads.start(), threads.end());
    let mut command = Command::new(program);
    command.args(["--child", scene, "--chip", chip.name(), "--child-threads", &range]);
    command.args(kind.arguments()).args(small.then_some("--small"));
    let count = seeds.end - seeds.start;
    if count != 0 {
        let (first, count) = (seeds.start.to_string(), count.to_string());
        command.args(["--seed", &first, "--seeds", &count]);
    }
    let mut end = child::run(&mut command, limit)?;
    if let (Some(seed), Some(problem)) = (end.failed_seed, &mut end.problem) {
        let all = *threads == all_threads(*chip);
        let only = if all { String::new() } else { format!(" --threads {}", threads.start()) };
        let again = format!("--scene {scene} --chip {chip}{only} --seed {seed}");
        *problem += &format!("\nagain: cargo xtask test scenes -- {again}");
    }
    let shown = if threads.start() == threads.end() { threads.start().to_string() } else { range };
    Ok(Row::new(scene, &kind.name(*chip), shown, count, end))
}

/// Reads the range of AICPU threads that a parent passes.
///
/// # Errors
///
/// It is none.
pub fn parse_range(text: &str) -> Result<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').context("a range has two ends")?;
    Ok(first.parse()?..=last.parse()?)
}
