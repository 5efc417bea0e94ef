//! The situations in which the reference goes wrong (spec trb §14.1), each made to happen; items
//! go by the numbers there. `tests/tests/hazards.rs` has the table of all items and their tests.

use protocol::{ArgTag, MixedKernels, OUTPUT_ALIGN, ScopeMode, TaskId, Tensor};
use std::vec::Vec;

use super::{mix, scalar_arg, set, tensor_arg};
use crate::testing::submission::{NO_KERNELS, Submission, elements, external, output, view};
use crate::testing::{Machine, Session};

/// The smallest window: three tasks of a ring are live at a time.
const SMALLEST: Machine =
    Machine { window: 4, heap_bytes: 4096, edges: 4, map_entries: 0, clusters: 3, seed: 1 };

fn in_scope<T>(session: &mut Session<'_, '_>, work: impl FnOnce(&mut Session<'_, '_>) -> T) -> T {
    session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
    let result = work(session);
    session.orchestrator.scope_end(session.services).unwrap();
    result
}

/// Item 1: a task names producers whose scope has closed long ago, by tensor and by id. Their slots
/// are free, or somebody else's; neither may get a reference, and nothing may be left at the end.
#[test]
fn a_producer_that_was_retired_before_its_consumer_came_is_neither_waited_for_nor_held() {
    for seed in 1..=40 {
        let mut total = std::vec![0; 1];
        let outcome = Machine { seed, ..SMALLEST }.run(&[mix, set], |session| {
            let mut made: Vec<(TaskId, Tensor)> = Vec::new();
            for round in 0..60 {
                let fresh = in_scope(session, |session| {
                    let task = Submission::aiv(0).create(&[4], Some(1)).scalar(0).scalar(round);
                    let outputs = task.submit(session);
                    (outputs.task_id, output(&outputs, 0))
                });
                made.push(fresh);
                // One that was just let go of, and one whose slot several tasks have had since.
                for back in [1, 2, 7] {
                    let Some(old) = made.len().checked_sub(back) else { continue };
                    let (id, mut tensor) = made[old];
                    // Only the order counts: the memory is somebody else's by now.
                    tensor.buffer = external(&mut total, &[1]).buffer;
                    tensor.shapes[0] = 1;
                    in_scope(session, |session| {
                        let task = Submission::aiv(0).tensor(ArgTag::InOut, tensor);
                        let outputs = task.scalar(0).scalar(round).after(id).submit(session);
                        assert!(outputs.task_id.is_valid(), "{:?}", session.services.faults.take());
                    });
                }
            }
        });
        // `Machine::run` asserts that every slot, edge and map entry came back.
        assert_eq!(outcome.code(), 0, "seed {seed}: {:?}", outcome.fault);
        let rounds = (0..60_i32).flat_map(|round| [1, 2, 7].map(|back| (round, back)));
        let expected = rounds
            .filter(|(round, back)| round + 1 >= *back)
            .fold(0_i32, |value, (round, _)| value.wrapping_mul(31).wrapping_add(round));
        assert_eq!(total, [expected], "seed {seed}");
    }
}

/// Item 2: with three slots, every single advance of the ring counts; one that got lost would leave
/// the next submission waiting for ever.
#[test]
fn no_advance_of_the_smallest_ring_is_lost_in_ten_thousand_tasks() {
    for seed in 1..=4 {
        let mut value = std::vec![0; 1];
        let outcome = Machine { seed, ..SMALLEST }.run(&[set], |session| {
            for number in 0..10_000 {
                in_scope(session, |session| {
                    let tensor = external(&mut value, &[1]);
                    Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(number).submit(session);
                });
            }
        });
        assert_eq!((outcome.code(), outcome.tasks), (0, 10_000), "{:?}", outcome.fault);
        assert_eq!(value, [9999]);
    }
}

/// Item 5: the entries of a retired task are given back once. The slot's next task has written
/// elsewhere, and what it wrote must still be found after the retired one's turn.
#[test]
fn giving_back_a_retired_tasks_map_entries_leaves_those_of_the_slots_next_task() {
    for seed in 1..=20 {
        let (mut old, mut new, mut sum) = (std::vec![0; 8], std::vec![0; 8], std::vec![0; 1]);
        let machine = Machine { map_entries: 24, seed, ..SMALLEST };
        let outcome = machine.run(&[set, mix], |session| {
            for round in 0..50 {
                // Retired as soon as the next scope needs a slot.
                for part in 0..3 {
                    in_scope(session, |session| {
                        let tensor = view(&external(&mut old, &[8]), &[2], &[part]);
                        Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(1).submit(session);
                    });
                }
                in_scope(session, |session| {
                    let tensor = external(&mut new, &[8]);
                    let writer = Submission::aiv(0).tensor(ArgTag::InOut, tensor);
                    writer.scalar(round).submit(session);
                    let reader = Submission::aic(1).tensor(ArgTag::InOut, tensor);
                    let target = external(&mut sum, &[1]);
                    let reader = reader.tensor(ArgTag::InOut, target).scalar(1).scalar(0);
                    reader.submit(session);
                });
            }
        });
        assert_eq!(outcome.code(), 0, "seed {seed}: {:?}", outcome.fault);
        let expected =
            (0..50_i32).fold(0_i32, |value, round| value.wrapping_mul(31).wrapping_add(8 * round));
        assert_eq!(sum, [expected], "seed {seed}: a reader came before its writer");
    }
}

/// Item 6: everything there is can be ready at one time. No core is looked at before the last slot
/// of the last ring is taken, so every task has to stay in the queue.
#[test]
fn a_ready_queue_takes_every_task_slot_there_is() {
    const EACH: u32 = 15;
    for aic in [false, true] {
        let mut cells = std::vec![0; 4 * EACH as usize];
        let outcome = Machine::default().run(&[set], |session| {
            for ring in 0..4 {
                for task in 0..EACH {
                    let whole = external(&mut cells, &[4 * EACH]);
                    let tensor = view(&whole, &[1], &[ring * EACH + task]);
                    let task = if aic { Submission::aic(0) } else { Submission::aiv(0) };
                    task.tensor(ArgTag::InOut, tensor).scalar(7).submit(session);
                }
                session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
            }
            for _ in 0..4 {
                session.orchestrator.scope_end(session.services).unwrap();
            }
        });
        assert_eq!((outcome.code(), outcome.tasks), (0, 60), "{:?}", outcome.fault);
        assert!(cells.iter().all(|cell| *cell == 7), "{cells:?}");
    }
}

/// Adds 1 to the element of its block.
extern "C" fn count(args: *const u64) {
    let local = scalar_arg(args, 48) as usize;
    let context = core::ptr::with_exposed_provenance::<protocol::LocalContext>(local);
    // SAFETY: the executor points it at the core's context.
    let block = unsafe { *context }.block_idx as usize;
    let element = elements(&tensor_arg(args, 0))[block];
    // SAFETY: an element of the test's buffer; the machine runs one core at a time.
    unsafe { element.write(element.read() + 1) };
}

/// Adds 1 to the first element.
extern "C" fn count_all(args: *const u64) {
    let element = elements(&tensor_arg(args, 0))[0];
    // SAFETY: as in `count`.
    unsafe { element.write(element.read() + 1) };
}

/// Item 7, blocks: the largest `block_num` on three lanes is 98,301 sub-tasks, three times what 16
/// bits hold.
#[test]
fn the_largest_block_count_on_three_lanes_runs_every_sub_task_once() {
    let all = MixedKernels { aic_kernel_id: 0, aiv0_kernel_id: 0, aiv1_kernel_id: 0 };
    let mut counts = std::vec![0; 1];
    let outcome = Machine::default().run(&[count_all], |session| {
        let tensor = external(&mut counts, &[1]);
        Submission::of(all).tensor(ArgTag::InOut, tensor).blocks(i16::MAX, false).submit(session);
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 1), "{:?}", outcome.fault);
    assert_eq!(counts, [3 * i32::from(i16::MAX)]);

    // And each block has its own index.
    let mut counts = std::vec![0; 2000];
    let outcome = Machine::default().run(&[count], |session| {
        let tensor = external(&mut counts, &[2000]);
        Submission::of(all).tensor(ArgTag::InOut, tensor).blocks(2000, false).submit(session);
    });
    assert_eq!(outcome.code(), 0);
    assert!(counts.iter().all(|count| *count == 3), "{counts:?}");
}

extern "C" fn nothing(_: *const u64) {}

/// Item 7, bytes: outputs of one task beyond 2 and beyond 4 GiB lie one behind the other, and the
/// ring counts them in 64 bits.
#[test]
fn packed_outputs_beyond_4_gib_lie_one_behind_the_other() {
    const GIB: u64 = 1 << 30;
    // Address space only: nobody touches memory of this size.
    let machine = Machine { heap_bytes: 16 * GIB, ..Machine::default() };
    let outcome = machine.run(&[nothing], |session| {
        for round in 0..4 {
            in_scope(session, |session| {
                let five_gib = [5, 1 << 14, 1 << 14];
                let task = Submission::aiv(0).create(&five_gib, None).create(&five_gib, None);
                let outputs = task.create(&[1], None).submit(session);
                let tensors = [0, 1, 2].map(|index| output(&outputs, index));
                let sizes = tensors.map(|tensor| tensor.buffer.size);
                assert_eq!(sizes, [5 * GIB, 5 * GIB, OUTPUT_ALIGN], "round {round}");
                let addresses = tensors.map(|tensor| tensor.buffer.addr);
                assert_eq!(addresses[1] - addresses[0], 5 * GIB);
                assert_eq!(addresses[2] - addresses[1], 5 * GIB);
            });
        }
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 4), "{:?}", outcome.fault);
    // More than the ring is a typed error with the right number, not a small number left of it.
    let outcome = Machine { heap_bytes: 4 * GIB, ..machine }.run(&[nothing], |session| {
        let task = Submission::aiv(0).create(&[1 << 15, 1 << 15], None);
        task.create(&[1], None).submit(session);
    });
    let fault = outcome.fault.expect("more than the ring has");
    assert!(fault.text.contains("wants 4294968320 bytes of output memory"), "{}", fault.text);
    assert!(fault.text.contains("PTO2_RING_HEAP to 8589934592"), "{}", fault.text);
}

/// Item 7, dimensions: six are refused wherever a tensor comes in, five work.
#[test]
fn six_dimensions_are_refused_for_existing_and_for_new_tensors() {
    let mut cells = std::vec![0; 32];
    let five = external(&mut cells, &[2, 2, 2, 2, 2]);
    let six = Tensor { ndims: 6, ..five };
    let outcome = Machine::default().run(&[set], |session| {
        Submission::aiv(0).tensor(ArgTag::InOut, five).scalar(9).submit(session);
    });
    assert_eq!((outcome.code(), &cells), (0, &std::vec![9; 32]));
    let uses: [fn(&mut Session<'_, '_>, Tensor); 3] = [
        |session, six| {
            Submission::aiv(0).tensor(ArgTag::NoDep, six).scalar(9).submit(session);
        },
        |session, _| {
            Submission::of(NO_KERNELS).create_of_rank(6).alloc(session);
        },
        |session, six| {
            session.orchestrator.set_tensor_data(session.services, &six, &[0], 1);
        },
    ];
    for (number, misuse) in uses.into_iter().enumerate() {
        let outcome = Machine::default().run(&[set], |session| misuse(session, six));
        let fault = outcome.fault.unwrap_or_else(|| panic!("use {number} is refused"));
        assert!(fault.text.contains("6 dimensions; at most 5"), "{}", fault.text);
    }
}

extern "C" fn check_alignment(args: *const u64) {
    assert!((args as usize - 8).is_multiple_of(64), "a dispatch payload");
    assert!(scalar_arg(args, 0).is_multiple_of(64), "a tensor of a task");
    let address = tensor_arg(args, 0).buffer.addr;
    assert!(address.is_multiple_of(OUTPUT_ALIGN), "{address:#x}");
}

/// Item 14: what a kernel is handed lies on cache lines, and outputs on their rounding, whatever
/// was taken before.
#[test]
fn tensors_payloads_and_outputs_are_aligned_in_every_slot() {
    let outcome = Machine { heap_bytes: 8192, ..SMALLEST }.run(&[check_alignment], |session| {
        for cells in 1..100 {
            in_scope(session, |session| {
                Submission::aiv(0).create(&[7 * cells], None).submit(session);
            });
        }
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 99), "{:?}", outcome.fault);
}
