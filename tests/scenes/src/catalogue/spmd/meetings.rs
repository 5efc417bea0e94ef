//! Cores that wait for one another: they meet only if they run side by side.
//!
//! What the reference's scenes name and do not exercise: several tasks with a common start that are
//! ready at once, and that together need more cores than there are.

use protocol::ChipName;

use super::layout::with_lines;
use super::task::{Task, aiv, mix};
use crate::arguments::CaseArguments;
use crate::scene::{Case, Expect, Scene};

/// The scenes.
pub(super) fn scenes() -> Vec<Scene> {
    vec![Scene {
        name: "spmd_meetings",
        summary: "blocks and tasks that wait for one another, more of them than there are cores",
        programs: super::programs("meetings", "spmd/kernels/meet.cpp"),
        cases: vec![
            // Not small: kernels that wait for others go outside the turns of a seed, one by one.
            // Ten tasks of which two fit at a time: the cores of a task meet, each task for itself.
            alone("clusters, too many", &[mix(12).sync(); 10], &[24, 13]),
            alone("vector cores, too many", &[aiv(36).sync(); 6], &[24, 18]),
            // All cores at once, again and again.
            alone("all clusters", &[mix(24).sync(); 6], &[24]),
            alone("all clusters of a5", &[mix(36).sync(); 3], &[36]).chips(&[ChipName::A5]),
            // Every second task does not wait for anybody, and must not keep the others from it.
            alone("beside plain ones", &beside_plain(), &[24]),
            // Independent tasks without a common start: side by side where there is room.
            together("tasks side by side", &[mix(2), mix(3), aiv(4), aiv(5)], &[24, 10]).small(),
            together("two with a common start", &[mix(8).sync(), mix(16).sync()], &[24]).small(),
        ],
    }]
}

/// Groups of one kind of task that meets, and plain single ones in between.
fn beside_plain() -> Vec<Task> {
    (0..8).flat_map(|_| [mix(9).sync(), aiv(27), mix(3)]).collect()
}

/// Tasks of which those with a common start meet, each for itself; the number of cores that meet is
/// the same for all of them. Tasks without a common start meet nobody: their group is that of a
/// counter that is full from the start.
fn alone(name: &str, tasks: &[Task], block_dims: &[u32]) -> Case {
    let cores = tasks[0].lines() as u64;
    let first_full = tasks.len() as u64;
    let grouped = tasks.iter().zip(0..).map(|(task, group)| match task.is_sync() {
        true => task.group(group),
        false => task.group(first_full),
    });
    let grouped: Vec<Task> = grouped.collect();
    let mut counters = vec![0_u64; tasks.len()];
    counters.push(cores);
    case(name, grouped, cores, counters, block_dims)
}

/// Tasks whose cores all meet.
fn together(name: &str, tasks: &[Task], block_dims: &[u32]) -> Case {
    let cores = tasks.iter().map(|task| task.lines() as u64).sum();
    case(name, tasks.to_vec(), cores, vec![0], block_dims)
}

fn case(name: &str, tasks: Vec<Task>, cores: u64, counters: Vec<u64>, block_dims: &[u32]) -> Case {
    let expect = Expect::Values { tasks: tasks.len() as u64 };
    let arguments = move || arguments(&tasks, cores, &counters);
    Case::new(name, "spmd", expect, arguments).block_dims(block_dims)
}

/// Every line says 1: met. Every counter has counted the cores that came.
fn arguments(tasks: &[Task], cores: u64, before: &[u64]) -> CaseArguments {
    let lines = tasks.iter().map(|task| task.lines()).sum();
    let mut after = before.to_vec();
    for task in tasks {
        after[task.group_index()] += task.lines() as u64;
    }
    // CAST: a dozen.
    let shape = [before.len() as u32];
    let arguments = with_lines(lines, &vec![vec![1.0]; lines])
        .inout("counters", before, &after, &shape)
        .scalar(cores);
    tasks.iter().fold(arguments, |arguments, task| arguments.scalar(task.scalar()))
}
