//! A run whose graph the orchestration builds on the host (hbg).
//!
//! ```text
//!  arguments with host addresses ──▶ entry: tasks, edges, copies, outputs ──▶ graph to the device
//!                                        │ failure                            ──▶ run ──▶ outputs back
//!                                        └─▶ nothing ran, outputs untouched           └ fault: untouched
//! ```
//!
//! A replay of a recorded run does the same without the entry, as long as the memory of the recorded run
//! is there; a rebuild calls the entry and demands the recorded structure.
//!
//! The entry is called on the thread of the run, as a callback of the user's own program: it works on
//! memory that the run has borrowed, and nobody could take that back from code that does not return. So
//! the time limit of the run is looked at when it has returned.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::host_arguments::HostArguments;
use super::recorded::{GraphSource, RecordedRun, Transfers};
use super::replay_error::check_arguments;
use super::{Call, ReplayError, RunError, RunFault, RunReport};
use crate::arguments::TensorSet;
use crate::device::Work;
use crate::graph::GraphBuilder;
use crate::host_orchestration::{BuildMode, Built, HostOrchestration, RunMemory, find_argument};
use crate::registry::{GraphRefusal, GraphReport, GraphSpace, KeptGraphs};

/// Carries out a run of a callable with this orchestration.
pub(super) fn carry_out(
    call: &Call<'_>,
    orchestration: &HostOrchestration,
    space: &Mutex<GraphSpace>,
    arguments: &mut dyn TensorSet,
    source: &mut GraphSource<'_>,
) -> Result<RunReport, RunError> {
    let start = Instant::now();
    // In turn with all other runs, so nobody else has it; nor a recording.
    let mut space = locked(space);
    let mut run = GraphRunOf { call, orchestration, space: &mut space, start };
    let graph = match source {
        GraphSource::Entry => run.build_and_run(arguments),
        GraphSource::Record(kept) => {
            run.record(arguments, None).map(|(graph, version, transfers)| {
                let recorded = run.space.builder.clone();
                **kept = Some(RecordedRun { graph: recorded, transfers, version });
                graph
            })
        }
        GraphSource::Replay(recorded) => run.replay(&mut locked(recorded), arguments),
        GraphSource::Rebuild(recorded) => run.rebuild(&mut locked(recorded), arguments),
    }?;
    Ok(RunReport { tasks: graph.tasks, elapsed: start.elapsed(), graph: Some(graph) })
}

/// Nothing panics between two changes that belong together.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One run.
struct GraphRunOf<'r> {
    call: &'r Call<'r>,
    orchestration: &'r HostOrchestration,
    space: &'r mut GraphSpace,
    start: Instant,
}

impl GraphRunOf<'_> {
    /// Calls the entry and runs what it builds.
    fn build_and_run(&mut self, arguments: &mut dyn TensorSet) -> Result<GraphReport, RunError> {
        let (built, lent) = self.build(arguments, BuildMode::Run)?;
        let left = self.time_left()?;
        let GraphSpace { graphs, builder, memory, .. } = &mut *self.space;
        let (graph, _) = run(self.call, (graphs, Some(memory)), builder, 0, left)?;
        copy_back(&built, self.call)?;
        arguments.note_outputs(&mut built.outputs.iter().filter_map(|output| {
            let (tensor, offset) = find_argument(lent.record(), output.host, output.bytes)?;
            let start = usize::try_from(offset).ok()?;
            Some((tensor, start..start + output.bytes))
        }));
        Ok(graph)
    }

    /// The same; with it comes what the entry did, apart from the graph, and which state of the graph
    /// the device has now. Where there is a known graph, nothing runs of another structure.
    fn record(
        &mut self,
        arguments: &mut dyn TensorSet,
        known: Option<&GraphBuilder>,
    ) -> Result<(GraphReport, u64, Transfers), RunError> {
        let (on, passed) = (self.call.placement.on(), Box::new(*arguments.record()));
        let (mut built, lent) = self.build(arguments, BuildMode::Record)?;
        if let Some(known) = known
            && let Some(difference) = known.first_difference(&self.space.builder)
        {
            return Err(Box::new(ReplayError::Graph(difference)).into());
        }
        let transfers = Transfers::of(&mut built, on, self.space, passed, lent.record())?;
        let left = self.time_left()?;
        let GraphSpace { graphs, builder, memory, .. } = &mut *self.space;
        let (graph, version) = run(self.call, (graphs, Some(memory)), builder, 0, left)?;
        copy_back(&built, self.call)?;
        Ok((graph, version, transfers))
    }

    /// Does a recorded run again with the entry, which must build a graph of the same structure. From
    /// now on the recorded run is this one.
    fn rebuild(
        &mut self,
        recorded: &mut RecordedRun,
        arguments: &mut dyn TensorSet,
    ) -> Result<GraphReport, RunError> {
        let (graph, version, transfers) = self.record(arguments, Some(&recorded.graph))?;
        // The builder keeps memory that is large enough, and the graph need not be copied.
        std::mem::swap(&mut recorded.graph, &mut self.space.builder);
        (recorded.version, recorded.transfers) = (version, transfers);
        Ok(graph)
    }

    /// Does a recorded run again: without the entry, unless the addresses of the recorded run mean nothing
    /// any more.
    fn replay(
        &mut self,
        recorded: &mut RecordedRun,
        arguments: &mut dyn TensorSet,
    ) -> Result<GraphReport, RunError> {
        let RecordedRun { graph, transfers, version } = recorded;
        check_arguments(&transfers.arguments, arguments.record()).map_err(Box::new)?;
        if !transfers.are_in(self.space, self.call.placement.on()) {
            return self.rebuild(recorded, arguments);
        }
        transfers.check(self.call, arguments)?;
        let device = self.call.placement.on().device();
        transfers.copy_in(device, arguments)?;
        let timeout = self.call.config.timeout;
        // The recorded run may have used chunks that the last run of the entry has not.
        let graphs = (&mut self.space.graphs, None);
        let (report, now) = run(self.call, graphs, graph, *version, timeout)?;
        *version = now;
        transfers.copy_out(device, arguments).map_err(RunError::Memory)?;
        Ok(report)
    }

    /// Calls the entry.
    fn build(
        &mut self,
        arguments: &mut dyn TensorSet,
        mode: BuildMode,
    ) -> Result<(Built, HostArguments), RunError> {
        let on = self.call.placement.on();
        let lent = HostArguments::lend(on, self.call.callable, arguments)?;
        let GraphSpace { memory, builder, .. } = &mut *self.space;
        // SAFETY: the tensors are borrowed through `arguments` until the run has ended, those that are
        // not only read exclusively; the record has their addresses.
        let built =
            unsafe { self.orchestration.build(on.device(), memory, builder, lent.record(), mode) }?;
        lent.check_outputs(&built.outputs)?;
        Ok((built, lent))
    }

    /// What the entry has left of the time limit.
    fn time_left(&self) -> Result<Duration, RunError> {
        let (took, limit) = (self.start.elapsed(), self.call.config.timeout);
        let left = limit.checked_sub(took).filter(|left| !left.is_zero());
        left.ok_or(RunError::EntryTooLong { took, limit })
    }
}

/// Brings a graph to the device and runs it there; with the report comes which state of it the device
/// has now. `version` is what that was before, or 0; what the run does not use of `spare` may be given up.
fn run(
    call: &Call<'_>,
    (graphs, spare): (&mut KeptGraphs, Option<&mut RunMemory>),
    graph: &GraphBuilder,
    version: u64,
    left: Duration,
) -> Result<(GraphReport, u64), RunError> {
    if graph.task_count() == 0 {
        // Nothing to do is done. The device has no graph without tasks.
        return Ok((GraphReport::default(), 0));
    }
    let on = call.placement.on();
    let uploaded = graphs.upload(on, graph, version, spare).map_err(|refusal| match refusal {
        GraphRefusal::Graph(error) => RunError::Graph(error),
        GraphRefusal::NoRoom { bytes } => RunError::GraphMemory {
            // CAST: (all) usize is at most 64 bits.
            tasks: graph.task_count() as u64,
            edges: graph.edge_count() as u64,
            bytes: bytes as u64,
        },
        GraphRefusal::Memory(error) => error.into(),
    })?;
    let launch = call.config.launch_within(Work::Graph(uploaded.run), left);
    let ended = on.device().run(&launch, &mut |body| {
        if on.rebind(call.placement) {
            call.placement.bind(body);
        }
    });
    let failure = match ended {
        Ok(outcome) => match outcome.fault {
            None => return Ok((uploaded.report, uploaded.version)),
            Some(fault) => RunFault::new(fault.code, fault.text.as_str()).into(),
        },
        Err(error) => error.into(),
    };
    graphs.forget_number(on, uploaded.run.number);
    Err(failure)
}

/// Copies the outputs to where the orchestration wants them.
fn copy_back(built: &Built, call: &Call<'_>) -> Result<(), RunError> {
    let device = call.placement.on().device();
    // SAFETY: the orchestration has named these places as ones that the run writes to; those within the
    // arguments are lent for writing until the run has ended.
    unsafe { built.copy_back(device) }.map_err(RunError::Memory)
}
