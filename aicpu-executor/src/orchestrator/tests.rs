//! Orchestrator and scheduler together, on a machine whose cores run in a seeded order.

use protocol::{ArgTag, MAX_TENSOR_ARGS, ScopeMode, StatusCode, TaskId, Tensor};
use std::vec::Vec;

use crate::testing::submission::{Submission, elements, external, output, view};
use crate::testing::{Machine, Session};

mod cost;
mod deferral;
mod hazards;
mod launch;
mod limits;
mod refusals;
mod tiny_rings;

/// `args[index]` as a tensor.
fn tensor_arg(args: *const u64, index: usize) -> Tensor {
    // SAFETY: the executor passes that many arguments, tensors first.
    let address = unsafe { args.add(index).read() };
    // SAFETY: as above: it points into the task's payload.
    unsafe { core::ptr::with_exposed_provenance::<Tensor>(address as usize).read() }
}

fn scalar_arg(args: *const u64, index: usize) -> u64 {
    // SAFETY: the executor passes that many arguments.
    unsafe { args.add(index).read() }
}

/// `inout = inout * 31 + sum(inputs) + scalar`; tensors: n inputs, one inout; scalars: n, value.
extern "C" fn mix(args: *const u64) {
    let count = (0..MAX_TENSOR_ARGS)
        .find(|index| scalar_arg(args, *index) < MAX_TENSOR_ARGS as u64)
        .expect("a count behind the tensors");
    let inputs = scalar_arg(args, count) as usize;
    assert_eq!(inputs + 1, count);
    let mut sum = scalar_arg(args, count + 1) as i32;
    for input in 0..inputs {
        for element in elements(&tensor_arg(args, input)) {
            // SAFETY: an element of a live test buffer; tasks that share it are ordered.
            sum = sum.wrapping_add(unsafe { element.read() });
        }
    }
    for element in elements(&tensor_arg(args, inputs)) {
        // SAFETY: as above.
        let value = unsafe { element.read() };
        // SAFETY: as above.
        unsafe { element.write(value.wrapping_mul(31).wrapping_add(sum)) };
    }
}

/// Writes its scalar to every element of its only tensor.
extern "C" fn set(args: *const u64) {
    for element in elements(&tensor_arg(args, 0)) {
        // SAFETY: as in `mix`.
        unsafe { element.write(scalar_arg(args, 1) as i32) };
    }
}

/// A small generator, so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Buffers of 4 × 8 integers, and a random rectangle of one of them.
const ROWS: u32 = 4;
const COLUMNS: u32 = 8;

fn random_view(random: &mut Random, buffers: &mut [Vec<i32>]) -> Tensor {
    let buffer = random.below(buffers.len() as u32) as usize;
    let whole = external(&mut buffers[buffer], &[ROWS, COLUMNS]);
    let (top, left) = (random.below(ROWS), random.below(COLUMNS));
    let (rows, columns) = (1 + random.below(ROWS - top), 1 + random.below(COLUMNS - left));
    view(&whole, &[rows, columns], &[top, left])
}

/// Submits `tasks` random tasks; with `run_now`, does their work at once instead.
fn random_graph(
    seed: u64,
    tasks: u32,
    buffers: &mut [Vec<i32>],
    mut session: Option<&mut Session<'_, '_>>,
) {
    let mut random = Random(seed);
    let mut depth = 0;
    for value in 0..tasks {
        if let Some(session) = session.as_deref_mut() {
            if depth < 5 && random.below(5) == 0 {
                session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
                depth += 1;
            } else if depth > 0 && random.below(3) == 0 {
                session.orchestrator.scope_end(session.services).unwrap();
                depth -= 1;
            }
            // A short scope so that no window is too small for what stays open.
            session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
        } else {
            // The same draws, to stay in step.
            if depth < 5 && random.below(5) == 0 {
                depth += 1;
            } else if depth > 0 && random.below(3) == 0 {
                depth -= 1;
            }
        }
        let inputs = random.below(4);
        let mut task = if random.below(2) == 0 { Submission::aiv(0) } else { Submission::aic(0) };
        let mut args: Vec<Tensor> = Vec::new();
        for _ in 0..inputs {
            let input = random_view(&mut random, buffers);
            args.push(input);
            // Readers of something that is written later say INOUT (spec trb §1.6: WAR is not
            // tracked for INPUT).
            task = task.tensor(ArgTag::InOut, input);
        }
        let target = random_view(&mut random, buffers);
        args.push(target);
        task =
            task.tensor(ArgTag::InOut, target).scalar(u64::from(inputs)).scalar(u64::from(value));
        match session.as_deref_mut() {
            Some(session) => {
                let outputs = task.submit(session);
                assert!(
                    outputs.task_id.is_valid(),
                    "task {value}: {:?}",
                    session.services.faults.take()
                );
                session.orchestrator.scope_end(session.services).unwrap();
            }
            None => run_at_once(&args, inputs, value),
        }
    }
    if let Some(session) = session {
        for _ in 0..depth {
            session.orchestrator.scope_end(session.services).unwrap();
        }
    }
}

/// What `mix` does, on tensors whose start offsets nobody has filled in.
fn run_at_once(args: &[Tensor], inputs: u32, value: u32) {
    let placed: Vec<Tensor> = args
        .iter()
        .map(|tensor| {
            let mut tensor = *tensor;
            tensor.start_offset =
                u64::from(tensor.offsets[0]) * u64::from(COLUMNS) + u64::from(tensor.offsets[1]);
            if tensor.is_all_offset_zero != 0 {
                tensor.start_offset = 0;
            }
            tensor
        })
        .collect();
    let mut words: Vec<u64> =
        placed.iter().map(|t| core::ptr::from_ref(t).expose_provenance() as u64).collect();
    words.extend([u64::from(inputs), u64::from(value)]);
    mix(words.as_ptr());
}

#[test]
fn random_graphs_give_what_the_same_tasks_give_one_after_the_other() {
    for seed in 1..=60 {
        let fresh = || (0..3).map(|buffer| std::vec![buffer; 32]).collect::<Vec<Vec<i32>>>();
        let (mut expected, mut buffers) = (fresh(), fresh());
        random_graph(seed, 120, &mut expected, None);
        let window = [16, 32, 64][seed as usize % 3];
        // The smaller number makes the ring of edges wrap around within a task's run of them.
        let edges = if seed % 2 == 0 { 0 } else { 2048 };
        let machine = Machine { window, edges, seed, ..Machine::default() };
        let outcome = machine.run(&[mix], |session| {
            random_graph(seed, 120, &mut buffers, Some(session));
        });
        assert_eq!((outcome.code(), outcome.tasks), (0, 120), "seed {seed}: {:?}", outcome.fault);
        assert_eq!(buffers, expected, "seed {seed}");
    }
}

#[test]
fn a_graph_without_tasks_ends_at_once() {
    let outcome = Machine::default().run(&[], |_| {});
    assert_eq!((outcome.code(), outcome.tasks), (0, 0));
}

#[test]
fn a_task_may_wait_for_more_than_64_others() {
    let mut parts = std::vec![0; 100];
    let mut sum = std::vec![7; 1];
    let outcome = Machine { window: 128, ..Machine::default() }.run(&[set, mix], |session| {
        for part in 0..100 {
            let whole = external(&mut parts, &[100]);
            let tensor = view(&whole, &[1], &[part]);
            Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(3).submit(session);
        }
        let (all, total) = (external(&mut parts, &[100]), external(&mut sum, &[1]));
        Submission::aiv(1)
            .tensor(ArgTag::Input, all)
            .tensor(ArgTag::InOut, total)
            .scalar(1)
            .scalar(0)
            .submit(session);
    });
    assert_eq!((outcome.code(), sum[0]), (0, 7 * 31 + 300));
}

#[test]
fn outputs_are_allocated_filled_and_passed_on() {
    let mut result = std::vec![0; 4];
    let outcome = Machine::default().run(&[mix], |session| {
        let made = Submission::aiv(0).create(&[4], Some(5)).scalar(0).scalar(1).submit(session);
        let tensor = output(&made, 0);
        assert_eq!((tensor.buffer.size, tensor.owner_task_id), (1024, made.task_id));
        Submission::aiv(0)
            .tensor(ArgTag::Input, tensor)
            .tensor(ArgTag::InOut, external(&mut result, &[4]))
            .scalar(1)
            .scalar(100)
            .submit(session);
    });
    // 5 * 31 + 1 = 156 four times, plus 100.
    assert_eq!((outcome.code(), result), (0, std::vec![724; 4]));
}

#[test]
fn element_reads_wait_for_the_writer_and_element_writes_for_the_readers() {
    let mut buffer = std::vec![1; 4];
    let mut sum = std::vec![0; 1];
    let outcome = Machine::default().run(&[set, mix], |session| {
        let tensor = external(&mut buffer, &[4]);
        Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(9).submit(session);
        let Session { orchestrator, services } = session;
        assert_eq!(orchestrator.get_tensor_data(services, &tensor, &[3]), 9);
        Submission::aiv(1)
            .tensor(ArgTag::InOut, tensor)
            .tensor(ArgTag::InOut, external(&mut sum, &[1]))
            .scalar(1)
            .scalar(0)
            .submit(session);
        session.orchestrator.set_tensor_data(session.services, &tensor, &[0], 77);
        let Session { orchestrator, services } = session;
        assert_eq!(orchestrator.get_tensor_data(services, &tensor, &[0]), 77);
    });
    assert_eq!((outcome.code(), sum[0]), (0, 36), "the reader came before the element write");
}

#[test]
fn a_manual_scope_orders_only_what_is_said_and_refuses_an_automatic_one_inside() {
    let mut value = std::vec![0; 1];
    let manual = Machine::default().run(&[mix], |session| {
        session.orchestrator.scope_begin(session.services, ScopeMode::Manual).unwrap();
        let mut before = TaskId::INVALID;
        for number in 1..=5 {
            let mut task = Submission::aiv(0)
                .tensor(ArgTag::InOut, external(&mut value, &[1]))
                .scalar(0)
                .scalar(number);
            if before.is_valid() {
                task = task.after(before);
            }
            before = task.submit(session).task_id;
        }
        session.orchestrator.scope_end(session.services).unwrap();
    });
    let expected = (1..=5).fold(0, |value, number| value * 31 + number);
    assert_eq!((manual.code(), value[0]), (0, expected));
    let nested = Machine::default().run(&[], |session| {
        session.orchestrator.scope_begin(session.services, ScopeMode::Manual).unwrap();
        assert!(session.orchestrator.scope_begin(session.services, ScopeMode::Auto).is_err());
    });
    assert_eq!(nested.code(), StatusCode::InvalidArgs.code());
}
