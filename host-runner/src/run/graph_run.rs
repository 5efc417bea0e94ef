//! A run whose graph the orchestration builds on the host (hbg).
//!
//! ```text
//!  arguments with host addresses ──▶ entry: tasks, edges, copies, outputs ──▶ graph to the device
//!                                        │ failure                            ──▶ run ──▶ outputs back
//!                                        └─▶ nothing ran, outputs untouched           └ fault: untouched
//! ```
//!
//! The entry is called on the thread of the run, as a callback of the user's own program: it works on
//! memory that the run has borrowed, and nobody could take that back from code that does not return. So
//! the time limit of the run is looked at when it has returned.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::host_arguments::HostArguments;
use super::{Call, RunError, RunFault, RunReport};
use crate::arguments::TensorSet;
use crate::device::Work;
use crate::host_orchestration::{BuildMode, Built, HostOrchestration};
use crate::registry::{GraphRefusal, GraphReport, GraphSpace};

/// Carries out a run of a callable with this orchestration.
pub(super) fn carry_out(
    call: &Call<'_>,
    orchestration: &HostOrchestration,
    space: &Mutex<GraphSpace>,
    arguments: &mut dyn TensorSet,
) -> Result<RunReport, RunError> {
    let start = Instant::now();
    let on = call.placement.on();
    // In turn with all other runs, so nobody else has it.
    let mut space = space.lock().unwrap_or_else(PoisonError::into_inner);
    let space = &mut *space;
    let lent = HostArguments::lend(on, call.callable, arguments)?;
    let (memory, builder) = (&mut space.memory, &mut space.builder);
    // SAFETY: the tensors are borrowed through `arguments` until this returns, those that are not only
    // read exclusively; the record has their addresses.
    let built = unsafe {
        orchestration.build(on.device(), memory, builder, lent.record(), BuildMode::Run)
    }?;
    lent.check_outputs(&built.outputs)?;
    let limit = call.config.timeout;
    let left = limit
        .checked_sub(start.elapsed())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| RunError::EntryTooLong { took: start.elapsed(), limit })?;
    let graph = run(call, space, left)?;
    copy_back(&built, call)?;
    Ok(RunReport { tasks: graph.tasks, elapsed: start.elapsed(), graph: Some(graph) })
}

/// Brings the graph to the device and runs it there.
fn run(call: &Call<'_>, space: &mut GraphSpace, left: Duration) -> Result<GraphReport, RunError> {
    if space.builder.task_count() == 0 {
        // Nothing to do is done. The device has no graph without tasks.
        return Ok(GraphReport::default());
    }
    let on = call.placement.on();
    let (run, report) = space.upload(on).map_err(|refusal| match refusal {
        GraphRefusal::Graph(error) => RunError::Graph(error),
        GraphRefusal::Memory(error) => error.into(),
    })?;
    let launch = call.config.launch_within(Work::Graph(run), left);
    let ended = on.device().run(&launch, &mut |body| {
        if on.rebind(call.placement.identity()) {
            call.placement.bind(body);
        }
    });
    let failure = match ended {
        Ok(outcome) => match outcome.fault {
            None => return Ok(report),
            Some(fault) => RunFault::new(fault.code, fault.text.as_str()).into(),
        },
        Err(error) => error.into(),
    };
    space.forget_number(on, run.number);
    Err(failure)
}

/// Copies the outputs to where the orchestration wants them.
fn copy_back(built: &Built, call: &Call<'_>) -> Result<(), RunError> {
    let device = call.placement.on().device();
    // SAFETY: the orchestration has named these places as ones that the run writes to; those within the
    // arguments are lent for writing until the run has ended.
    unsafe { built.copy_back(device) }.map_err(RunError::Memory)
}
