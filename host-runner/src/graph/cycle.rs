//! Whether a graph can run to its end, and which tasks wait for each other where it cannot.
//!
//! The reference runs such a graph until the device gives up, and then reports success (spec hbg A12).
//! Here it never gets to the device.

use super::GraphError;
use super::builder::Edge;
use super::image::Parts;

/// Tasks of a cycle that an error names.
const SHOWN: usize = 8;

/// No task: a graph has fewer.
const NONE: u32 = u32::MAX;

/// Checks that there is an order in which the tasks can run; `predecessors` has how many edges lead to
/// each. Takes time in proportion to tasks and edges, and nothing but a look at each edge where all of
/// them lead to higher numbers, or all to lower ones.
///
/// # Errors
///
/// [`GraphError::Cycle`] with tasks that do wait for each other.
pub(super) fn refuse(
    graph: &Parts<'_>,
    predecessors: &[u32],
    edges: &[Edge],
) -> Result<(), GraphError> {
    let is_order = edges.iter().all(|edge| edge.from < edge.to);
    if is_order || edges.iter().all(|edge| edge.from > edge.to) {
        return Ok(());
    }
    let waiting = waiting_for_ever(graph, predecessors);
    let Some(cycle) = find(&waiting, edges) else { return Ok(()) };
    let length = cycle.len();
    Err(GraphError::Cycle { tasks: cycle.into_iter().take(SHOWN).collect(), length })
}

/// Runs the graph without its tasks, and returns each one's predecessors that never complete.
fn waiting_for_ever(graph: &Parts<'_>, predecessors: &[u32]) -> Vec<u32> {
    let mut waiting = predecessors.to_vec();
    let Parts { tasks, successors } = *graph;
    let mut complete: Vec<u32> = Vec::with_capacity(tasks.len());
    complete.extend((0..).zip(&waiting).filter(|(_, count)| **count == 0).map(|(task, _)| task));
    let mut next = 0;
    while let Some(task) = complete.get(next) {
        next += 1;
        // CAST: (all, and below) at least 32 bits.
        let task = *task as usize;
        let first = tasks[task].first_successor as usize;
        let end =
            tasks.get(task + 1).map_or(successors.len(), |task| task.first_successor as usize);
        for successor in &successors[first..end] {
            let count = &mut waiting[*successor as usize];
            *count -= 1;
            if *count == 0 {
                complete.push(*successor);
            }
        }
    }
    waiting
}

/// A cycle, each task waiting for the one before it and the first for the last, the lowest number
/// first. None where no task waits.
fn find(waiting: &[u32], edges: &[Edge]) -> Option<Vec<u32>> {
    let waits = |task: u32| waiting[task as usize] != 0;
    let start = (0..).zip(waiting).find(|(_, count)| **count != 0).map(|(task, _)| task)?;
    // A task that waits for ever waits for one that does, so that going back from one to the next
    // never ends, and comes to a task for the second time.
    let mut before = vec![NONE; waiting.len()];
    for edge in edges.iter().filter(|edge| waits(edge.from) && waits(edge.to)) {
        before[edge.to as usize] = edge.from;
    }
    let mut seen = vec![false; waiting.len()];
    let mut task: u32 = start;
    while !std::mem::replace(&mut seen[task as usize], true) {
        task = before[task as usize];
    }
    let mut cycle = vec![task];
    let mut previous = before[task as usize];
    while previous != task {
        cycle.push(previous);
        previous = before[previous as usize];
    }
    cycle.reverse();
    let lowest = (0..cycle.len()).min_by_key(|place| cycle[*place])?;
    cycle.rotate_left(lowest);
    Some(cycle)
}

#[cfg(test)]
mod tests;
