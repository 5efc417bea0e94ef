//! The child's part: runs all cases of one scene on one chip, and tells each step.

use std::fs;
use std::ops::{Range, RangeInclusive};

use anyhow::{Context as _, Result};
use host_runner::device::RingConfig;
use host_runner::worker::{CallableHandle, Worker};
use protocol::ChipName;

use crate::arguments::CaseArguments;
use crate::device_kind::DeviceKind;
use crate::event::Event;
use crate::scene::{Case, Expect, Scene, Work};
use crate::stage::{Ensemble, Setting, Stage};

/// Which runs to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The chip.
    pub chip: ChipName,
    /// Numbers of AICPU threads.
    pub threads: RangeInclusive<u32>,
    /// Seeds to run small cases under, each in one of the settings; none is all cases in all
    /// settings, as it comes.
    pub seeds: Range<u64>,
    /// Whether small cases only are run, as with seeds.
    pub small: bool,
    /// The kind of device.
    pub kind: DeviceKind,
}

/// Runs a scene and passes each event to `tell`. Stops at the first run that is wrong, but goes on
/// under other seeds.
pub fn perform(scene: &Scene, extent: &Extent, tell: &mut dyn FnMut(&Event)) {
    let mut tensor_bytes = 0;
    if let Err(error) = perform_all(scene, extent, &mut tensor_bytes, tell) {
        tell(&Event::Failed { message: format!("{error:#}"), seed: None });
    }
    tell(&Event::End { peak_bytes: peak_bytes(), tensor_bytes });
}

fn perform_all(
    scene: &Scene,
    extent: &Extent,
    tensor_bytes: &mut u64,
    tell: &mut dyn FnMut(&Event),
) -> Result<()> {
    let ensemble = Ensemble::build(&scene.programs, extent.chip, extent.kind)?;
    let mut house = House { ensemble: &ensemble, open: None };
    let by_seed = !extent.seeds.is_empty();
    for case in scene.cases.iter().filter(|case| extent.has(case)) {
        let play = Play::new(scene, case)?;
        *tensor_bytes = (*tensor_bytes).max(play.tensor_bytes());
        for setting in extent.settings(case) {
            match perform_rounds(&play, case, &mut house, &setting, tell) {
                Err(error) if by_seed => {
                    let message = format!("{error:#}");
                    tell(&Event::Failed { message, seed: setting.seed });
                }
                end => end?,
            }
        }
    }
    Ok(())
}

/// All rounds of a case in a setting.
fn perform_rounds(
    play: &Play<'_>,
    case: &Case,
    house: &mut House<'_>,
    setting: &Setting,
    tell: &mut dyn FnMut(&Event),
) -> Result<()> {
    for round in 1..=case.rounds {
        let place = place(case, setting, round);
        tell(&Event::At { setting: place.clone() });
        let tasks = play.run(house, setting).context(place)?;
        tell(&Event::Ran { tasks });
    }
    Ok(())
}

impl Extent {
    /// Whether a case is run.
    #[must_use]
    pub fn has(&self, case: &Case) -> bool {
        let is_small = case.small || (self.seeds.is_empty() && !self.small);
        let has_windows = !case.windows || self.kind.why_no_windows().is_none();
        case.chips.contains(&self.chip) && is_small && has_windows
    }

    /// The settings in which a case is run: all, or one for each seed.
    ///
    /// Which one depends on the seed alone, so that the seed names a run.
    fn settings(&self, case: &Case) -> Vec<Setting> {
        let each = |threads: u32, block_dim: u32, seed: Option<u64>| Setting {
            threads,
            block_dim,
            stall_timeout: case.stall_timeout,
            rings: case.rings,
            seed,
        };
        let all: Vec<Setting> = case
            .threads_of(&self.threads)
            .into_iter()
            .flat_map(|threads| case.block_dims.iter().map(move |dim| each(threads, *dim, None)))
            .collect();
        if self.seeds.is_empty() {
            return all;
        }
        let seeds = self.seeds.clone();
        seeds
            .zip(all.iter().cycle().skip((self.seeds.start % all.len() as u64) as usize))
            .map(|(seed, setting)| Setting { seed: Some(seed), ..*setting })
            .collect()
    }
}

/// Case and setting in words.
fn place(case: &Case, setting: &Setting, round: u32) -> String {
    let Setting { threads, block_dim, seed, .. } = setting;
    let mut text = format!("{}, {threads} threads, block_dim {block_dim}", case.name);
    if case.rounds > 1 {
        text += &format!(", round {round}");
    }
    if let Some(seed) = seed {
        text += &format!(", seed {seed}");
    }
    text
}

/// The worker in use: opening one for each run would be most of the time.
struct House<'a> {
    ensemble: &'a Ensemble,
    open: Option<Opened>,
}

/// A worker with what is registered with it.
struct Opened {
    key: (RingConfig, Option<u64>),
    worker: Worker,
    handles: Vec<(&'static str, CallableHandle)>,
}

impl House<'_> {
    /// A worker for a setting, and the handle of a program on it.
    fn admit(
        &mut self,
        program: &'static str,
        setting: &Setting,
    ) -> Result<(&Worker, CallableHandle)> {
        let key = (setting.rings, setting.seed);
        let opened = match self.open.take() {
            Some(opened) if opened.key == key => opened,
            other => {
                drop(other);
                Opened { key, worker: self.ensemble.open(setting)?, handles: Vec::new() }
            }
        };
        let opened = self.open.insert(opened);
        if let Some((_, handle)) = opened.handles.iter().find(|(name, _)| *name == program) {
            return Ok((&opened.worker, handle.clone()));
        }
        let handle = opened.worker.register(self.ensemble.callable(program)?)?;
        opened.handles.push((program, handle.clone()));
        Ok((&opened.worker, handle))
    }
}

/// A case with its arguments at hand.
struct Play<'a> {
    act: Act<'a>,
    /// What is run after each run that must fail.
    recovery: Option<Act<'a>>,
}

/// One kind of run.
enum Act<'a> {
    Run { program: &'static str, arguments: CaseArguments, expect: &'a Expect },
    Own(&'a dyn Fn(&Stage<'_>) -> Result<u64, String>),
}

impl<'a> Play<'a> {
    fn new(scene: &'a Scene, case: &'a Case) -> Result<Self> {
        let act = Act::of(case);
        let mut recovery = None;
        if matches!(act, Act::Run { expect: Expect::Fault { .. }, .. }) {
            let good = scene.cases.iter().find(|good| good.recovers(case));
            let missing = "a scene with a case that must fail needs one with values and its rings";
            recovery = Some(Act::of(good.context(missing)?));
        }
        Ok(Self { act, recovery })
    }

    fn tensor_bytes(&self) -> u64 {
        let bytes = |act: &Act<'_>| match act {
            Act::Run { arguments, .. } => arguments.bytes(),
            Act::Own(_) => 0,
        };
        bytes(&self.act) + self.recovery.as_ref().map_or(0, bytes)
    }

    /// Runs it in a setting. Returns how many tasks ran.
    fn run(&self, house: &mut House<'_>, setting: &Setting) -> Result<u64> {
        let tasks = self.act.run(house, setting)?;
        let Some(recovery) = &self.recovery else { return Ok(tasks) };
        Ok(tasks + recovery.run(house, setting).context("the run after the fault")?)
    }
}

impl<'a> Act<'a> {
    fn of(case: &'a Case) -> Self {
        match &case.work {
            Work::Run { program, arguments, expect } => {
                Self::Run { program, arguments: arguments(), expect }
            }
            Work::Own(run) => Self::Own(run),
        }
    }

    fn run(&self, house: &mut House<'_>, setting: &Setting) -> Result<u64> {
        match self {
            Self::Run { program, arguments, expect } => {
                let (worker, handle) = house.admit(program, setting)?;
                setting.run(worker, &handle, arguments, expect)
            }
            Self::Own(run) => {
                if house.ensemble.kind.is_alone() {
                    house.open = None;
                }
                let stage = Stage { ensemble: house.ensemble, setting: *setting };
                run(&stage).map_err(anyhow::Error::msg)
            }
        }
    }
}

/// The most memory that this process ever had resident, in bytes; zero where the system does not
/// tell.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes.unwrap_or(0_u64) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_this_process_grows_with_what_it_touches() {
        let before = peak_bytes();
        let touched = vec![1_u8; 64 << 20];
        assert!(before > 0 && touched.iter().all(|&byte| byte == 1));
        assert!(peak_bytes() >= before.max(64 << 20));
    }
}
