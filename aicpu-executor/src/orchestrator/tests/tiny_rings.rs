//! Random graphs on rings that are too small for most of them: each either runs to the right result
//! or is reported as a certain deadlock at once, with a size that leads to the right result.

use protocol::{ArgTag, ScopeMode, StatusCode, TaskId, Tensor};
use std::vec::Vec;

use super::{Random, mix};
use crate::fault::Fault;
use crate::testing::submission::{Submission, external, output, view};
use crate::testing::{Machine, Session};

/// Elements of the one buffer that all tasks share.
const CELLS: u32 = 8;

/// One step of an orchestration.
#[derive(Debug, Clone)]
enum Step {
    Begin,
    End,
    /// A new tensor of `elements`, from earlier ones.
    Make {
        elements: u32,
        from: Vec<usize>,
    },
    /// A change of some cells of the buffer, from earlier tensors.
    Change {
        first: u32,
        count: u32,
        from: Vec<usize>,
    },
    /// Memory without a kernel.
    Allocate {
        elements: u32,
    },
}

/// A random orchestration; made tensors are used as long as their scope is open.
fn random_steps(random: &mut Random) -> Vec<Step> {
    let (mut steps, mut open) = (Vec::new(), std::vec![0_usize]);
    for _ in 0..4 + random.below(70) {
        // Indices below the sum of the open scopes' counts are tensors of open scopes.
        let reachable: usize = open.iter().sum();
        let mut from = Vec::new();
        while reachable > 0 && from.len() < 6 && random.below(3) != 0 {
            from.push(random.below(reachable as u32) as usize);
        }
        let elements = 1 + random.below(600);
        let step = match random.below(10) {
            0 | 1 if open.len() < 7 => {
                open.push(0);
                Step::Begin
            }
            2..=4 if open.len() > 1 => {
                open.pop();
                Step::End
            }
            5 => Step::Allocate { elements },
            6 | 7 => Step::Make { elements, from },
            _ => {
                let first = random.below(CELLS);
                Step::Change { first, count: 1 + random.below(CELLS - first), from }
            }
        };
        if matches!(step, Step::Make { .. } | Step::Allocate { .. }) {
            *open.last_mut().unwrap() += 1;
        }
        steps.push(step);
    }
    steps.extend(std::iter::repeat_n(Step::End, open.len() - 1));
    steps
}

/// What the buffer holds in the end, one step after the other.
fn expected(steps: &[Step]) -> Vec<i32> {
    let mut cells = std::vec![0_i32; CELLS as usize];
    let (mut made, mut scopes) = (Vec::<(i32, i32)>::new(), std::vec![0]);
    let sum = |made: &[(i32, i32)], from: &[usize], number: usize| {
        let parts = from.iter().map(|index| made[*index].0.wrapping_mul(made[*index].1));
        parts.fold(number as i32, i32::wrapping_add)
    };
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Begin => scopes.push(made.len()),
            Step::End => made.truncate(scopes.pop().unwrap()),
            Step::Allocate { elements } => made.push((5, *elements as i32)),
            Step::Make { elements, from } => {
                let value = (5 * 31_i32).wrapping_add(sum(&made, from, number));
                made.push((value, *elements as i32));
            }
            Step::Change { first, count, from } => {
                let sum = sum(&made, from, number);
                for cell in &mut cells[*first as usize..(first + count) as usize] {
                    *cell = cell.wrapping_mul(31).wrapping_add(sum);
                }
            }
        }
    }
    cells
}

/// Does the steps, until the first one that fails.
fn submit_all(steps: &[Step], cells: &mut [i32], session: &mut Session<'_, '_>) {
    let (mut made, mut scopes) = (Vec::<Tensor>::new(), Vec::new());
    let with_inputs = |made: &[Tensor], from: &[usize]| {
        from.iter().fold(Submission::aiv(0), |task, index| task.tensor(ArgTag::Input, made[*index]))
    };
    let mut last = TaskId::INVALID;
    for (number, step) in steps.iter().enumerate() {
        let outputs = match step {
            Step::Begin => {
                scopes.push(made.len());
                if session.orchestrator.scope_begin(session.services, ScopeMode::Auto).is_err() {
                    return;
                }
                continue;
            }
            Step::End => {
                made.truncate(scopes.pop().unwrap());
                if session.orchestrator.scope_end(session.services).is_err() {
                    return;
                }
                continue;
            }
            Step::Allocate { elements } => {
                Submission::aiv(0).create(&[*elements], Some(5)).alloc(session)
            }
            Step::Make { elements, from } => with_inputs(&made, from)
                .create(&[*elements], Some(5))
                .scalar(from.len() as u64)
                .scalar(number as u64)
                .submit(session),
            Step::Change { first, count, from } => {
                let whole = external(cells, &[CELLS]);
                let mut task = with_inputs(&made, from)
                    .tensor(ArgTag::InOut, view(&whole, &[*count], &[*first]))
                    .scalar(from.len() as u64)
                    .scalar(number as u64);
                if last.is_valid() && number % 3 == 0 {
                    task = task.after(last);
                }
                task.submit(session)
            }
        };
        if !outputs.task_id.is_valid() {
            return;
        }
        last = outputs.task_id;
        if outputs.output_count > 0 {
            made.push(output(&outputs, 0));
        }
    }
}

/// The same machine with what a report says would do.
fn enlarged(machine: Machine, fault: &Fault) -> Machine {
    let named = |variable: &str| -> Option<u64> {
        let (_, rest) = fault.text.split_once(variable)?.1.split_once("to ")?;
        rest.split(' ').next()?.parse().ok()
    };
    let larger = |now: u64, named: u64| {
        assert!(named > now, "{now} is no help: {}", fault.text);
        named
    };
    if let Some(window) = named("PTO2_RING_TASK_WINDOW") {
        if fault.code != StatusCode::DependencyOverflow.code() {
            return Machine { window: larger(machine.window, window), ..machine };
        }
        // A window brings four map entries for each of its slots; this machine has fewer.
        let map_entries = larger(machine.map_entries, 4 * window);
        return Machine { window: machine.window.max(window), map_entries, ..machine };
    }
    if let Some(heap_bytes) = named("PTO2_RING_HEAP") {
        return Machine { heap_bytes: larger(machine.heap_bytes, heap_bytes), ..machine };
    }
    let edges = named("PTO2_RING_DEP_POOL").unwrap_or_else(|| panic!("no size in: {}", fault.text));
    Machine { edges: larger(machine.edges, edges), ..machine }
}

#[test]
fn random_graphs_on_tiny_rings_finish_or_are_proved_stuck_and_the_named_sizes_lead_to_the_result() {
    let mut faults = std::collections::BTreeMap::new();
    let (mut at_once, mut most_rounds) = (0, 0);
    for seed in 1..=300 {
        let mut random = Random(seed);
        let steps = random_steps(&mut random);
        let expected = expected(&steps);
        let mut machine = Machine {
            window: [4, 8, 16][random.below(3) as usize],
            heap_bytes: [1024, 4096, 1 << 16][random.below(3) as usize],
            edges: [4, 16, 256][random.below(3) as usize],
            map_entries: [16, 64][random.below(2) as usize],
            clusters: 2,
            seed,
        };
        for round in 0.. {
            let mut cells = std::vec![0; CELLS as usize];
            let outcome = machine.run(&[mix], |session| submit_all(&steps, &mut cells, session));
            let Some(fault) = outcome.fault else {
                assert_eq!(cells, expected, "seed {seed}, {machine:?}");
                at_once += u32::from(round == 0);
                most_rounds = most_rounds.max(round);
                break;
            };
            let certain =
                [1, 2, 4, 6].contains(&fault.code) && fault.text.contains("or set PTO2_RING_");
            assert!(certain, "seed {seed}, {machine:?}: {fault:?}");
            assert!(round < 16, "seed {seed}: {machine:?} and still {fault:?}");
            *faults.entry(fault.code).or_insert(0) += 1;
            machine = enlarged(machine, &fault);
        }
    }
    // The sizes are such that all of it happens.
    assert!(at_once > 10 && most_rounds > 2, "{at_once} at once, {most_rounds} rounds at most");
    assert_eq!(faults.len(), 4, "{faults:?}");
}
