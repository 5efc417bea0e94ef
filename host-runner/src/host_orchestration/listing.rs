//! A graph as events, for those who look for what is wrong with it.

use tracing::Level;

use crate::graph::GraphBuilder;

/// Says which tasks and edges there are, at level debug: one event for the graph and one for each
/// task.
pub(super) fn show(graph: &GraphBuilder) {
    if !tracing::enabled!(target: "hbg", Level::DEBUG) {
        return;
    }
    let (tasks, edges) = (graph.task_count(), graph.edge_count());
    tracing::debug!(target: "hbg", tasks, edges, "the graph so far");
    let mut successors = vec![Vec::new(); tasks];
    for edge in &graph.edges {
        // CAST: u32 to usize is lossless.
        if let Some(list) = successors.get_mut(edge.from as usize) {
            list.push(edge.to);
        }
    }
    let mut args = graph.args.as_slice();
    for (task, (kind, successors)) in graph.tasks.iter().zip(&successors).enumerate() {
        let (own, rest) = args.split_at_checked(kind.arg_count.into()).unwrap_or_default();
        args = rest;
        let (func_id, core_type) = (kind.func_id, kind.core_type);
        tracing::debug!(target: "hbg", task, func_id, core_type, args = ?own, ?successors);
    }
}
