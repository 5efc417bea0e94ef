//! Recordings: runs of hbg that are done again without their orchestration.
//!
//! ```no_run
//! use host_runner::arguments::Arguments;
//! use host_runner::run::RunConfig;
//! use host_runner::worker::{CallableHandle, ReplayError, Worker};
//!
//! fn both(
//!     worker: &Worker,
//!     attention: &CallableHandle,
//!     batches: [&[f32; 64]; 2],
//!     outputs: [&mut [f32; 64]; 2],
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let (config, [first, second]) = (RunConfig::default(), outputs);
//!     let mut arguments = Arguments::new();
//!     arguments.push_input(batches[0], &[64])?;
//!     arguments.push_output(first, &[64])?;
//!     let (recording, _report) = worker.record(attention, &mut arguments, &config)?;
//!
//!     let mut arguments = Arguments::new();
//!     arguments.push_input(batches[1], &[64])?;
//!     arguments.push_output(second, &[64])?;
//!     // The orchestration is not called: what it read of the first batch is as it was.
//!     recording.replay(&mut arguments, &config)?;
//!     // It is called, as its graph depends on the batch, and must build the recorded one.
//!     match recording.rebuild(&mut arguments, &config) {
//!         Err(ReplayError::Graph(difference)) => println!("another graph: {difference}"),
//!         ended => drop(ended?),
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::sync::Mutex;

use super::handle::CallableHandle;
use crate::arguments::Arguments;
use crate::run::{
    GraphSource, RecordError, RecordedRun, ReplayError, RunConfig, RunError, RunReport,
};

/// What a run of a callable of hbg did: the copies to the device, the graph, and where outputs go.
///
/// What was copied from a tensor argument, or goes to one, is known by the tensor's position and the
/// bytes into it. What was copied from memory of the orchestration's own is kept as it was, and so is
/// what depends on anything that the orchestration read or wrote in host memory: a replay knows of its
/// copies only, as a replay of a CUDA graph does. Where the contents of a tensor decide on the graph,
/// [`rebuild`](Self::rebuild) or run.
///
/// It holds its callable's handle, not a lease: an unregistration does not wait for it, and makes it
/// stale. Replays are runs like all others, in turn with them, from any thread.
pub struct Recording {
    handle: CallableHandle,
    recorded: Mutex<RecordedRun>,
}

impl Recording {
    /// Runs a callable and keeps what it did.
    pub(super) fn make(
        handle: &CallableHandle,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<(Self, RunReport), RunError> {
        let callable = handle.callable();
        if !callable.is_on_host() {
            return Err(RecordError::OfTrb.into());
        }
        let mut kept = None;
        let source = &mut GraphSource::Record(&mut kept);
        let report = handle.shared().run(callable, arguments, config, source)?;
        let recorded = Mutex::new(kept.ok_or(RunError::Abandoned)?);
        Ok((Self { handle: handle.clone(), recorded }, report))
    }

    /// The callable.
    #[must_use]
    pub fn handle(&self) -> &CallableHandle {
        &self.handle
    }

    /// Does the recorded run again with these arguments, and waits for its end. Outputs are written
    /// only if it succeeds. The orchestration is not called: what it copied from arguments is copied
    /// from these, the recorded graph runs, and outputs go to these.
    ///
    /// Number, types, shapes and sides of the arguments must be the recorded ones; so must scalars and
    /// the addresses of device tensors, as the graph has them in a way that nobody knows. Directions of
    /// host tensors may be others, as long as what outputs go to may be written.
    ///
    /// Where the device memory of the recorded run is not there any more (the device was lost, or later
    /// runs of the callable have given it back to grow), the orchestration is called as
    /// [`rebuild`](Self::rebuild) does. So it is where the run has copied to, or has outputs in, memory of
    /// the user that neither a device tensor nor a scalar names, and the user has freed any since: what is
    /// there may be something else. Of addresses that the orchestration has put into tasks, and knows from
    /// elsewhere, nobody knows that they are addresses: who frees that memory records anew. Where nothing else happens between replays, they do not
    /// allocate, and copy nothing of the graph.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]. The recording stays usable, and so does the worker.
    pub fn replay(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<RunReport, ReplayError> {
        self.run(arguments, config, GraphSource::Replay(&self.recorded))
    }

    /// Has the orchestration build the graph anew for these arguments, which may be any, and runs it if
    /// it has the recorded structure: the same tasks and edges in the same order. Of the graph, argument
    /// words that differ are copied to the device. From then on, this run is the recorded one.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; [`ReplayError::Graph`] where the structure is another one: nothing ran, outputs
    /// are untouched. What was recorded stays.
    pub fn rebuild(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<RunReport, ReplayError> {
        self.run(arguments, config, GraphSource::Rebuild(&self.recorded))
    }

    fn run(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
        mut source: GraphSource<'_>,
    ) -> Result<RunReport, ReplayError> {
        let (shared, callable) = (self.handle.shared(), self.handle.callable());
        Ok(shared.run(callable, arguments, config, &mut source)?)
    }
}

impl fmt::Debug for Recording {
    /// Shows the callable. What was recorded may be of any size, and in use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("handle", &self.handle).finish_non_exhaustive()
    }
}
