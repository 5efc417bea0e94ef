//! Graphs of a certain shape, and what their tasks compute.

use crate::arguments::CaseArguments;
use crate::catalogue::numbers::Numbers;

/// What cells hold before: a task that reads one too early makes something else of its own.
const BEFORE: u64 = 0xDEAD_BEEF_0BAD_F00D;

/// Tasks, and edges from one that is waited for to one that waits.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) tasks: usize,
    pub(super) edges: Vec<[u32; 2]>,
}

impl Shape {
    /// Tasks that do not wait.
    pub(super) fn independent(tasks: usize) -> Self {
        Self { tasks, edges: Vec::new() }
    }

    /// One task, `width` that wait for it, and one that waits for them.
    pub(super) fn wide(width: u32) -> Self {
        let edges = (1..=width).flat_map(|task| [[0, task], [task, width + 1]]).collect();
        Self { tasks: width as usize + 2, edges }
    }

    /// Tasks one after another.
    pub(super) fn chain(tasks: u32) -> Self {
        Self { tasks: tasks as usize, edges: (1..tasks).map(|task| [task - 1, task]).collect() }
    }

    /// One task, `width` tasks, one task, and so on.
    pub(super) fn fork_join(width: u32, layers: u32) -> Self {
        let tasks = 1 + layers * (width + 1);
        let layer = |layer: u32| {
            let (fork, join) = (layer * (width + 1), (layer + 1) * (width + 1));
            (fork + 1..join).flat_map(move |task| [[fork, task], [task, join]])
        };
        Self { tasks: tasks as usize, edges: (0..layers).flat_map(layer).collect() }
    }

    /// Layers of up to `width` tasks, each of which waits for up to six of earlier layers, now and
    /// then for one of them twice. Tasks and edges are in no order.
    pub(super) fn layered(seed: u64, layers: usize, width: u64) -> Self {
        let mut numbers = Numbers::seeded(seed);
        let mut edges = Vec::new();
        let mut tasks = 0;
        for _ in 0..layers {
            let earlier = tasks;
            for _ in 0..=numbers.below(width) {
                for _ in 0..if earlier == 0 { 0 } else { numbers.below(7) } {
                    // CAST: below the number of tasks.
                    edges.push([numbers.below(earlier) as u32, tasks as u32]);
                }
                tasks += 1;
            }
        }
        // CAST: (both) a few thousand.
        Self { tasks: tasks as usize, edges }.shuffled(&mut numbers)
    }

    /// The same graph with other numbers for its tasks and its edges in another order.
    pub(super) fn shuffled(self, numbers: &mut Numbers) -> Self {
        let names = numbers.shuffled(self.tasks);
        let order = numbers.shuffled(self.edges.len());
        // CAST: below the number of tasks.
        let renamed = |task: u32| names[task as usize] as u32;
        let edges = order.iter().map(|edge| self.edges[*edge].map(renamed)).collect();
        Self { tasks: self.tasks, edges }
    }

    /// What each task makes of its cell: salt and number, and for each edge to it, in their order,
    /// three times that and the cell of the task that it comes from.
    fn cells(&self, salt: u64) -> Vec<u64> {
        let mut producers = vec![Vec::new(); self.tasks];
        let mut consumers = vec![Vec::new(); self.tasks];
        for [from, to] in &self.edges {
            producers[*to as usize].push(*from as usize);
            consumers[*from as usize].push(*to as usize);
        }
        let mut missing: Vec<usize> = producers.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..self.tasks).filter(|task| missing[*task] == 0).collect();
        let mut cells = vec![BEFORE; self.tasks];
        while let Some(task) = ready.pop() {
            let own = salt.wrapping_add(task as u64);
            let sum = |sum: u64, from: &usize| sum.wrapping_mul(3).wrapping_add(cells[*from]);
            cells[task] = producers[task].iter().fold(own, sum);
            for consumer in &consumers[task] {
                missing[*consumer] -= 1;
                if missing[*consumer] == 0 {
                    ready.push(*consumer);
                }
            }
        }
        cells
    }

    /// The arguments of `build_any_graph`.
    pub(super) fn arguments(&self, salt: u64) -> CaseArguments {
        let mut edges: Vec<u32> = self.edges.concat();
        let mut cells = self.cells(salt);
        // A tensor has an element at least.
        edges.resize(edges.len().max(2), 0);
        cells.resize(cells.len().max(1), BEFORE);
        // CAST: (all) below 2^32.
        let shape = [edges.len() as u32 / 2, 2];
        CaseArguments::new()
            .input("edges", &edges, &shape)
            .inout("cells", &vec![BEFORE; cells.len()], &cells, &[cells.len() as u32])
            .scalar(self.tasks as u64)
            .scalar(self.edges.len() as u64)
            .scalar(salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_tasks_and_edges_that_their_names_say() {
        let sizes = |shape: Shape| (shape.tasks, shape.edges.len());
        assert_eq!(sizes(Shape::independent(7)), (7, 0));
        assert_eq!(sizes(Shape::wide(10)), (12, 20));
        assert_eq!(sizes(Shape::chain(5)), (5, 4));
        assert_eq!(sizes(Shape::fork_join(8, 3)), (28, 48));
        assert_eq!(
            Shape::fork_join(2, 2).edges,
            [[0, 1], [1, 3], [0, 2], [2, 3], [3, 4], [4, 6], [3, 5], [5, 6],]
        );
    }

    #[test]
    fn cells_follow_the_edges_whatever_the_tasks_are_called() {
        // 10; 3 * 11 + 10 = 43; 3 * (3 * 12 + 10) + 43 = 181.
        let shape = Shape { tasks: 3, edges: vec![[0, 2], [0, 1], [1, 2]] };
        assert_eq!(shape.cells(10), [10, 43, 181]);
        // The same tasks backwards.
        let shape = Shape { tasks: 3, edges: vec![[2, 0], [2, 1], [1, 0]] };
        assert_eq!(shape.cells(10), [3 * (3 * 10 + 12) + 45, 45, 12]);
    }

    #[test]
    fn layered_graphs_have_no_cycle_and_are_in_no_order() {
        for seed in 0..20 {
            let shape = Shape::layered(seed, 12, 9);
            assert!(shape.cells(1).iter().all(|cell| *cell != BEFORE), "seed {seed}");
            let backwards = shape.edges.iter().filter(|[from, to]| from > to).count();
            assert!(backwards > 0 && backwards < shape.edges.len(), "seed {seed}");
        }
    }
}
