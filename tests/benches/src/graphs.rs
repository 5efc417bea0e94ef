//! `bench graph`: graphs that are built on the host: new ones, known ones, and replays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use host_runner::arguments::Arguments;
use host_runner::worker::{CallableHandle, Recording, Worker, WorkerConfig};

use crate::arguments::Schedule;
use crate::calls::config;
use crate::copies::{Caches, Copy};
use crate::programs::Programs;
use crate::record::Findings;
use crate::rounds::{Named, Subject, interleave};

/// Tasks of the figures.
const MANY: u64 = 100_000;

/// Most tasks that a new graph has more than others, so that it is a new one.
const MORE: u64 = 4096;

/// Entries of `graphs.cpp`.
const ENTRIES: [&str; 3] = ["independent", "chain", "fork_join"];

/// Measures graphs.
///
/// # Errors
///
/// Something does not work.
pub(crate) fn measure(
    programs: &Programs,
    schedule: &Schedule,
    findings: &mut Findings,
) -> Result<()> {
    let worker = Worker::open(WorkerConfig::default())?;
    let mut subjects = Vec::new();
    let mut bytes = 0;
    for entry in ENTRIES {
        let callable = programs.graph(entry)?;
        for kind in [Kind::New, Kind::Known, Kind::Replayed] {
            let handle = worker.register(&callable)?;
            let graph = Graph::new(&worker, handle, entry, kind)?;
            bytes = bytes.max(graph.uploaded);
            subjects.push(Named::per(format!("graph_{entry}_{}", kind.name()), MANY, graph));
        }
    }
    for (name, caches) in [("warm", Caches::Warm), ("cold", Caches::Cold)] {
        let copy = Copy::new(caches, usize::try_from(bytes)?);
        subjects.push(Named::per(format!("floor_copy_of_graph_{name}"), MANY, copy));
    }
    findings.rows.extend(interleave(subjects, &schedule.long, &schedule.part)?);
    findings.median("hbg_task_ns", "graph_independent_new", 1.0);
    findings.median("hbg_replay_ns", "graph_independent_replayed", 1.0);
    Ok(())
}

/// How a graph comes to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Built, and unknown to the device.
    New,
    /// Built, and found to be one that the device knows.
    Known,
    /// Run again without being built.
    Replayed,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Replayed => "replayed",
        }
    }
}

/// Runs of a graph.
struct Graph<'w> {
    worker: &'w Worker,
    handle: CallableHandle,
    entry: &'static str,
    kind: Kind,
    recording: Option<Recording>,
    cells: Vec<u64>,
    /// Tasks that it has more than [`MANY`].
    more: u64,
    /// Bytes that the first run brought to the device so that it knows the graph.
    uploaded: u64,
}

/// What is added to each cell.
const CONSTANT: u64 = 11;

impl<'w> Graph<'w> {
    fn new(
        worker: &'w Worker,
        handle: CallableHandle,
        entry: &'static str,
        kind: Kind,
    ) -> Result<Self> {
        let cells = vec![0; usize::try_from(MANY + MORE)?];
        let mut graph =
            Self { worker, handle, entry, kind, recording: None, cells, more: 0, uploaded: 0 };
        let mut arguments = arguments(&mut graph.cells, MANY)?;
        let report = if kind == Kind::Replayed {
            let (recording, report) = worker.record(&graph.handle, &mut arguments, &config())?;
            graph.recording = Some(recording);
            report
        } else {
            worker.run(&graph.handle, &mut arguments, &config())?
        };
        drop(arguments);
        graph.uploaded = report.graph.map_or(0, |graph| graph.bytes_uploaded);
        Ok(graph)
    }

    /// What the tasks leave in their cells.
    fn expected(&self) -> Vec<u64> {
        let mut cells: Vec<u64> = Vec::new();
        for own in 0..MANY + self.more {
            let sum = |first: u64, count: u64| {
                // CAST: indices of cells that are there.
                let waited_for = cells.iter().skip(first as usize).take(count as usize);
                waited_for.copied().fold(0, u64::wrapping_add)
            };
            let place = own % 10;
            let sum = match (self.entry, place) {
                ("chain", _) | ("fork_join", 0) if own > 0 => sum(own - 1, 1),
                ("fork_join", 9) => sum(own - 8, 8),
                ("fork_join", 1..) => sum(own - place, 1),
                _ => 0,
            };
            cells.push(sum.wrapping_add(CONSTANT + own));
        }
        cells
    }
}

/// The arguments of the entries of `graphs.cpp`.
fn arguments(cells: &mut [u64], tasks: u64) -> Result<Arguments<'_>> {
    let shape = [u32::try_from(cells.len())?];
    let mut arguments = Arguments::new();
    arguments.push_output(cells, &shape)?;
    arguments.push_scalar(CONSTANT)?;
    arguments.push_scalar(tasks)?;
    Ok(arguments)
}

impl Subject for Graph<'_> {
    fn operate(&mut self) -> Result<Duration> {
        if self.kind == Kind::New {
            self.more = self.more % MORE + 1;
        }
        let tasks = MANY + self.more;
        self.cells.fill(0);
        let mut arguments = arguments(&mut self.cells, tasks)?;
        let start = Instant::now();
        let report = match &self.recording {
            Some(recording) => recording.replay(&mut arguments, &config())?,
            None => self.worker.run(&self.handle, &mut arguments, &config())?,
        };
        let took = start.elapsed();
        ensure!(report.tasks == tasks, "{} tasks ran", report.tasks);
        let is_known = report.graph.is_some_and(|graph| graph.is_replay);
        ensure!(is_known == (self.kind != Kind::New), "the graph was known, or was not");
        Ok(took)
    }

    fn verify(&mut self) -> Result<()> {
        let expected = self.expected();
        let wrong = self.cells.iter().zip(&expected).position(|(cell, expected)| cell != expected);
        ensure!(wrong.is_none(), "task {wrong:?} of `{}` computes something else", self.entry);
        Ok(())
    }
}
