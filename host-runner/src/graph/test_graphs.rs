//! Graphs for tests, as plain lists from which the expected values are counted by hand.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use protocol::FuncId;

use super::{GraphBuilder, KernelSet};

/// The func ids of the kernels that there are.
pub(super) const KERNELS: [i32; 3] = [0, 7, 1023];

/// A task: its arguments, its kernel, its kind of core.
pub(super) type PlannedTask = (Vec<u64>, i32, i32);

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) tasks: Vec<PlannedTask>,
    pub(super) edges: Vec<(u32, u32)>,
}

impl Plan {
    /// As many tasks without arguments, with these edges.
    pub(super) fn bare(tasks: usize, edges: &[(u32, u32)]) -> Self {
        Self { tasks: vec![(Vec::new(), KERNELS[1], 1); tasks], edges: edges.to_vec() }
    }

    pub(super) fn build(&self) -> GraphBuilder {
        let mut graph = empty();
        self.build_into(&mut graph);
        graph
    }

    pub(super) fn build_into(&self, graph: &mut GraphBuilder) {
        graph.clear();
        for (task, (args, func_id, core_type)) in (0..).zip(&self.tasks) {
            assert_eq!(graph.add_task(args, *func_id, *core_type), Ok(task));
        }
        for (from, to) in &self.edges {
            graph.add_successor(*from as i32, *to as i32).unwrap();
        }
        let counts = (graph.task_count(), graph.edge_count());
        assert_eq!(counts, (self.tasks.len(), self.edges.len()));
    }

    /// The argument words of all tasks.
    pub(super) fn words(&self) -> Vec<u64> {
        self.tasks.iter().flat_map(|(args, ..)| args.iter().copied()).collect()
    }

    /// The plan with other words; `words` has as many as it needs.
    pub(super) fn with_words(&self, words: &[u64]) -> Self {
        let mut words = words.iter().copied();
        let mut plan = self.clone();
        for word in plan.tasks.iter_mut().flat_map(|(args, ..)| args) {
            *word = words.next().unwrap();
        }
        plan
    }
}

/// A builder with [`KERNELS`], without tasks.
pub(super) fn empty() -> GraphBuilder {
    let kernels: KernelSet =
        KERNELS.map(|id| FuncId::new(id.into()).unwrap()).into_iter().collect();
    GraphBuilder::new(kernels)
}

/// One to `most` tasks.
fn tasks(most: usize) -> impl Strategy<Value = Vec<PlannedTask>> {
    let args = vec(any::<u64>(), 0..=16);
    let func_id = (0..KERNELS.len()).prop_map(|index| KERNELS[index]);
    vec((args, func_id, 0..2), 1..=most)
}

/// Plans with any edges: from none to many, some of them twice, some from a task to itself.
pub(super) fn any_plan(most: usize) -> impl Strategy<Value = Plan> {
    tasks(most).prop_flat_map(|tasks| {
        let count = tasks.len() as u32;
        let edges = vec((0..count, 0..count), 0..=tasks.len() * 2);
        (Just(tasks), edges).prop_map(|(tasks, edges)| Plan { tasks, edges })
    })
}

/// Plans that can run: edges follow an order of the tasks, which is any one.
pub(super) fn sound_plan(most: usize) -> impl Strategy<Value = Plan> {
    any_plan(most).prop_flat_map(|plan| {
        let order: Vec<usize> = (0..plan.tasks.len()).collect();
        (Just(plan), Just(order).prop_shuffle()).prop_map(|(mut plan, place)| {
            let at = |task: u32| place[task as usize];
            plan.edges.retain(|(from, to)| from != to);
            for (from, to) in &mut plan.edges {
                if at(*from) > at(*to) {
                    (*from, *to) = (*to, *from);
                }
            }
            plan
        })
    })
}
