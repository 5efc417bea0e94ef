//! One row of the table: what came of a scene on a chip.

use std::time::Duration;

use serde::Serialize;

use crate::child::ChildEnd;

/// What a scene may have resident besides its tensors, in bytes.
pub const MEMORY_LIMIT: u64 = 256 << 20;

/// How often a tensor is in memory: as it is before and after, in the caller's memory, and on the
/// device.
const TENSOR_COPIES: u64 = 4;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The scene.
    pub scene: String,
    /// The chip.
    pub chip: String,
    /// The numbers of AICPU threads, as "1-4".
    pub threads: String,
    /// Seeds that each of its cases was run under.
    pub seeds: u64,
    /// Runs that were right.
    pub runs: u64,
    /// Runs that were wrong.
    pub failures: u64,
    /// Their tasks.
    pub tasks: u64,
    /// From start to end of its process, in milliseconds.
    pub milliseconds: u64,
    /// The most memory that its process had resident, in bytes; `None` if it did not live to tell.
    pub peak_bytes: Option<u64>,
    /// Whether all is right.
    pub ok: bool,
    /// What is wrong first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Row {
    /// The row of a child that has ended.
    #[must_use]
    pub fn new(scene: &str, chip: &str, threads: String, seeds: u64, end: ChildEnd) -> Self {
        let ChildEnd { runs, tasks, elapsed, memory, failures, problem, .. } = end;
        let problem = problem.or_else(|| memory.and_then(too_much));
        Self {
            scene: scene.to_owned(),
            chip: chip.to_owned(),
            threads,
            seeds,
            runs,
            failures,
            tasks,
            milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            peak_bytes: memory.map(|(peak_bytes, _)| peak_bytes),
            ok: problem.is_none(),
            problem,
        }
    }

    /// From start to end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}

/// What to say about a peak above the limit.
fn too_much((peak_bytes, tensor_bytes): (u64, u64)) -> Option<String> {
    let limit = MEMORY_LIMIT + TENSOR_COPIES * tensor_bytes;
    (peak_bytes > limit).then(|| {
        format!(
            "{} MiB were resident at the peak; {} MiB are allowed beside tensors of {} MiB",
            peak_bytes >> 20,
            MEMORY_LIMIT >> 20,
            tensor_bytes >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_may_need_the_limit_beside_its_tensors_and_no_more() {
        let row = |peak: u64, tensors: u64| {
            let memory = Some((peak << 20, tensors << 20));
            let elapsed = Duration::from_millis(1500);
            let end = ChildEnd { runs: 1, tasks: 2, elapsed, memory, ..ChildEnd::default() };
            Row::new("a scene", "a2a3", "1-4".to_owned(), 0, end)
        };
        assert!(row(256, 0).ok && row(356, 25).ok);
        assert!(!row(257, 0).ok);
        let problem = row(400, 25).problem.unwrap();
        assert!(problem.starts_with("400 MiB were resident"), "{problem}");
        assert_eq!(row(1, 0).elapsed(), Duration::from_millis(1500));
    }
}
