//! What an orchestration says of its tasks' tensors, kept for dumps. No part of the structure: it does
//! not get to the device, and nothing depends on it.

use std::ops::Range;

use protocol::{GRAPH_TASK_ARGS, TensorInfo};

use super::{GraphBuilder, GraphError};

/// Most infos of a graph: 1 GiB, half of what the longest list of edges or arguments takes.
const INFOS_MAX: usize = 1 << 24;

/// The infos of a graph's tasks. Takes no memory while there are none.
#[derive(Debug, Clone, Default)]
pub(super) struct TensorInfos {
    /// By task, up to the last one that has any.
    places: Vec<Place>,
    infos: Vec<TensorInfo>,
}

/// Where the infos of a task are.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    first: u32,
    count: u8,
    /// How many fit there.
    room: u8,
}

impl Place {
    fn range(self) -> Range<usize> {
        // CAST: at least 32 bits.
        let first = self.first as usize;
        first..first + usize::from(self.count)
    }
}

impl TensorInfos {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.infos.clear();
    }

    fn of(&self, task: usize) -> &[TensorInfo] {
        self.places.get(task).map_or(&[], |place| &self.infos[place.range()])
    }

    /// `infos` are at most [`GRAPH_TASK_ARGS`]. False where those of all tasks would be more than `limit`,
    /// which is at most [`INFOS_MAX`].
    fn set(&mut self, task: usize, infos: &[TensorInfo], limit: usize) -> bool {
        let old = self.places.get(task).copied().unwrap_or_default();
        // CAST: (all) at most `GRAPH_TASK_ARGS`, at most `INFOS_MAX`.
        let mut place = Place { count: infos.len() as u8, ..old };
        if place.count > old.room {
            // Who says more of a task than before gets room for all that can be said, so that a task
            // moves once.
            place.room = if old.room == 0 { place.count } else { GRAPH_TASK_ARGS as u8 };
            place.first = self.infos.len() as u32;
            let end = self.infos.len() + usize::from(place.room);
            if end > limit {
                return false;
            }
            self.infos.resize(end, TensorInfo::default());
        }
        if self.places.len() <= task {
            self.places.resize(task + 1, Place::default());
        }
        self.places[task] = place;
        self.infos[place.range()].copy_from_slice(infos);
        true
    }
}

impl GraphBuilder {
    /// Says what the tensors of a task look like, in place of what was said before. None at all change
    /// nothing (spec hbg A4).
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownInfoTask`], [`GraphError::TensorInfoCount`] and [`GraphError::Full`]; the
    /// graph is as before.
    pub fn set_tensor_info(&mut self, task: i32, infos: &[TensorInfo]) -> Result<(), GraphError> {
        let tasks = self.task_count();
        let index = usize::try_from(task).ok().filter(|index| *index < tasks);
        let index = index.ok_or(GraphError::UnknownInfoTask { task, tasks })?;
        if infos.len() > GRAPH_TASK_ARGS {
            // CAST: a length in memory.
            let have = infos.len() as i64;
            return Err(GraphError::TensorInfoCount { task, have, limit: GRAPH_TASK_ARGS });
        }
        if infos.is_empty() || self.tensor_infos.set(index, infos, INFOS_MAX) {
            return Ok(());
        }
        Err(GraphError::Full { what: "description of a tensor", limit: INFOS_MAX })
    }

    /// What was said of the tensors of a task; nothing for a task that there is not.
    #[must_use]
    pub fn tensor_info(&self, task: u32) -> &[TensorInfo] {
        // CAST: at least 32 bits.
        self.tensor_infos.of(task as usize)
    }
}

#[cfg(test)]
mod tests {
    use protocol::FuncId;

    use super::*;
    use crate::graph::KernelSet;

    fn with_tasks(tasks: usize) -> GraphBuilder {
        let kernels = KernelSet::from_iter([FuncId::new(0).unwrap()]);
        let mut graph = GraphBuilder::new(kernels);
        for _ in 0..tasks {
            graph.add_task(&[], 0, 0).unwrap();
        }
        graph
    }

    /// `count` infos that no other `mark` has.
    fn infos(mark: u32, count: usize) -> Vec<TensorInfo> {
        let info = |each| TensorInfo { ndims: 2, shapes: [mark, each, 0, 0, 0], ..<_>::default() };
        (0..).map(info).take(count).collect()
    }

    #[test]
    fn each_task_has_what_was_said_of_it_last() {
        let mut graph = with_tasks(4);
        for (mark, (task, count)) in
            [(2, 3), (0, 1), (2, 1), (0, 2), (2, 3), (2, 16), (0, 16), (0, 1), (2, 7)]
                .into_iter()
                .enumerate()
        {
            let said = infos(mark as u32, count);
            let other = graph.tensor_info(2 - task as u32).to_vec();
            graph.set_tensor_info(task, &said).unwrap();
            assert_eq!(graph.tensor_info(task as u32), said);
            assert_eq!(graph.tensor_info(2 - task as u32), other);
        }
        assert_eq!((graph.tensor_info(1), graph.tensor_info(3), graph.tensor_info(4)), EMPTY);
        graph.set_tensor_info(2, &[]).unwrap();
        assert_eq!(graph.tensor_info(2), infos(8, 7));
    }

    const EMPTY: (&[TensorInfo], &[TensorInfo], &[TensorInfo]) = (&[], &[], &[]);

    #[test]
    fn what_is_said_over_and_over_takes_no_more_memory() {
        let mut graph = with_tasks(2);
        for mark in 0..1000 {
            graph.set_tensor_info(1, &infos(mark, mark as usize % 17)).unwrap();
        }
        assert!(graph.tensor_infos.infos.len() <= 2 * GRAPH_TASK_ARGS);
    }

    #[test]
    fn infos_for_which_there_is_no_room_change_nothing() {
        let mut infos_of_all = TensorInfos::default();
        assert!(infos_of_all.set(1, &infos(1, 3), 10));
        for (task, count, fits) in [(0, 8, false), (1, 4, false), (0, 7, true), (1, 2, true)] {
            let before = infos_of_all.of(task).to_vec();
            let said = infos(9, count);
            assert_eq!(infos_of_all.set(task, &said, 10), fits, "{task}: {count}");
            assert_eq!(infos_of_all.of(task), if fits { said } else { before });
        }
    }

    #[test]
    fn a_task_that_there_is_not_and_too_many_infos_are_refused() {
        let mut graph = with_tasks(2);
        graph.set_tensor_info(1, &infos(1, 2)).unwrap();
        for task in [-1, 2, i32::MIN, i32::MAX] {
            for infos in [&infos(9, 1)[..], &[]] {
                let error = graph.set_tensor_info(task, infos).unwrap_err();
                assert_eq!(error, GraphError::UnknownInfoTask { task, tasks: 2 });
            }
        }
        let error = graph.set_tensor_info(1, &infos(9, 17)).unwrap_err();
        assert_eq!(error, GraphError::TensorInfoCount { task: 1, have: 17, limit: 16 });
        let text = error.to_string();
        assert!(text.contains("task 1") && text.contains("17") && text.contains("16"), "{text}");
        assert_eq!(graph.tensor_info(1), infos(1, 2));
    }

    #[test]
    fn a_graph_that_starts_over_knows_nothing_of_the_tensors_of_the_last_one() {
        let mut graph = with_tasks(1);
        graph.set_tensor_info(0, &infos(1, 2)).unwrap();
        graph.clear();
        assert_eq!(graph.tensor_info(0), []);
        graph.add_task(&[], 0, 0).unwrap();
        assert_eq!(graph.tensor_info(0), []);
        graph.set_tensor_info(0, &infos(2, 1)).unwrap();
        assert_eq!(graph.tensor_info(0), infos(2, 1));
    }

    #[test]
    fn what_is_said_of_tensors_is_no_part_of_the_structure() {
        let mut graph = with_tasks(1);
        let before = graph.structure();
        graph.set_tensor_info(0, &infos(1, 2)).unwrap();
        assert_eq!(graph.structure(), before);
    }
}
