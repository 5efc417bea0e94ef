//! A run on its way to the program and back: words of fixed places, so that a run allocates nothing.

use std::time::Duration;

use aicpu_executor::Fault;
use protocol::{DeviceAddr, GraphRun};

use super::lane::{Lane, WORDS};
use super::refusal::{Refusal, fault};
use crate::device::{DeviceError, Launch, RingConfig, RunOutcome, Work};

/// What stands in the first word of a launch.
const ORCHESTRATION: u64 = 1;
const GRAPH: u64 = 2;

/// What stands in the first word of an answer.
const SUCCEEDED: u64 = 1;
const FAILED: u64 = 2;
const REFUSED: u64 = 3;

/// Numbers of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    tasks: u64,
    loaded: bool,
}

impl Ended {
    /// Those of an outcome.
    pub(super) fn of(outcome: &RunOutcome) -> Self {
        Self { tasks: outcome.tasks, loaded: outcome.loaded }
    }
}

/// A launch as words.
pub(super) fn words_of(launch: &Launch) -> [u64; WORDS] {
    let Launch { clusters, aicpu_threads, work, stall_timeout, timeout, grace } = *launch;
    let (kind, rest) = match work {
        Work::Orchestration(RingConfig { task_window, heap_bytes, dep_pool }) => {
            (ORCHESTRATION, [task_window, heap_bytes, dep_pool, 0, 0, 0, 0])
        }
        Work::Graph(graph) => {
            let GraphRun { image, image_bytes, number, workspace, workspace_bytes, .. } = graph;
            let GraphRun { patches, patch_count, .. } = graph;
            let (image, workspace, patches) = (image.raw(), workspace.raw(), patches.raw());
            let words =
                [image, image_bytes, number, workspace, workspace_bytes, patches, patch_count];
            (GRAPH, words)
        }
    };
    let mut words = [0; WORDS];
    let head = [
        kind,
        u64::from(clusters),
        u64::from(aicpu_threads),
        nanoseconds(stall_timeout),
        nanoseconds(timeout),
        nanoseconds(grace),
    ];
    words[..head.len()].copy_from_slice(&head);
    words[head.len()..head.len() + rest.len()].copy_from_slice(&rest);
    words
}

/// As far as 64 bits go, which is five centuries.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The launch of words; `None` where they make no sense.
pub(super) fn launch_of(words: &[u64; WORDS]) -> Option<Launch> {
    let [kind, clusters, threads, stall, timeout, grace, a, b, c, d, e, f, g, ..] = *words;
    let work = match kind {
        ORCHESTRATION => {
            Work::Orchestration(RingConfig { task_window: a, heap_bytes: b, dep_pool: c })
        }
        GRAPH => Work::Graph(GraphRun {
            image: DeviceAddr::new(a),
            image_bytes: b,
            number: c,
            workspace: DeviceAddr::new(d),
            workspace_bytes: e,
            patches: DeviceAddr::new(f),
            patch_count: g,
        }),
        _ => return None,
    };
    Some(Launch {
        clusters: u32::try_from(clusters).ok()?,
        aicpu_threads: u32::try_from(threads).ok()?,
        work,
        stall_timeout: Duration::from_nanos(stall),
        timeout: Duration::from_nanos(timeout),
        grace: Duration::from_nanos(grace),
    })
}

/// Writes an outcome.
pub(super) fn put_outcome(lane: &Lane, ended: &Ended, fault: Option<&Fault>) {
    let Ended { tasks, loaded } = *ended;
    let (status, code) = match fault {
        None => (SUCCEEDED, 0),
        Some(fault) => {
            // The text of a fault is short.
            let _put = lane.put_bytes(fault.text.as_bytes());
            // CAST: the same bits.
            (FAILED, u64::from(fault.code.cast_unsigned()))
        }
    };
    lane.put_words(&[status, tasks, u64::from(loaded), code]);
}

/// Writes why there is no outcome.
pub(super) fn put_refusal(lane: &Lane, refusal: &Refusal) {
    // It is short, and has nothing that cannot be written.
    let _put = serde_json::to_vec(refusal).is_ok_and(|bytes| lane.put_bytes(&bytes));
    lane.put_words(&[REFUSED, 0, 0, 0]);
}

/// What came of a run.
///
/// # Errors
///
/// Why there is no outcome.
pub(super) fn outcome_of(lane: &Lane) -> Result<RunOutcome, DeviceError> {
    let [status, tasks, loaded, code, ..] = lane.words();
    let loaded = loaded != 0;
    match status {
        SUCCEEDED => Ok(RunOutcome { fault: None, tasks, loaded }),
        FAILED => {
            let text = lane.bytes();
            // CAST: the same bits.
            let fault = fault((code as u32).cast_signed(), &String::from_utf8_lossy(&text));
            Ok(RunOutcome { fault: Some(Box::new(fault)), tasks, loaded })
        }
        _ => match serde_json::from_slice::<Refusal>(&lane.bytes()) {
            Ok(refusal) => Err(refusal.into_device()),
            Err(error) => Err(DeviceError::Program { reason: error.to_string() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_arrives_as_it_was_sent() {
        let address = |number: u64| DeviceAddr::new(number << 20);
        let graph = GraphRun {
            image: address(1),
            image_bytes: 2,
            number: 3,
            workspace: address(4),
            workspace_bytes: 5,
            patches: address(6),
            patch_count: 7,
        };
        let rings = RingConfig { task_window: 8, heap_bytes: 1 << 40, dep_pool: 10 };
        for work in [Work::Graph(graph), Work::Orchestration(rings)] {
            let launch = Launch {
                clusters: 24,
                aicpu_threads: 4,
                work,
                stall_timeout: Duration::ZERO,
                timeout: Duration::from_secs(365 * 24 * 3600),
                grace: Duration::from_nanos(1),
            };
            assert_eq!(launch_of(&words_of(&launch)), Some(launch));
        }
        assert_eq!(launch_of(&[0; WORDS]), None);
    }
}
