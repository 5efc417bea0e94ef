//! Deferred completion: what a kernel leaves behind holds its task, and nothing else.

use core::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;

use protocol::{ArgTag, MAX_DEFERRED_CONDITIONS, MixedKernels};

use super::{scalar_arg, tensor_arg};
use crate::scheduler::deferred::waiting_list::WAITING_LIMIT;
use crate::testing::kernel_context::Context;
use crate::testing::submission::{NO_KERNELS, Submission, elements, external};
use crate::testing::{Kernel, Machine};

mod around;
mod left_behind;

use left_behind::defer_wrongly;

/// Scalars behind the task's one tensor: address of counters, index of the first, expected value.
/// Each block waits for the counter `first + block`.
extern "C" fn defer_by_block(args: *const u64) {
    let context = Context::of(args);
    let index = scalar_arg(args, 2) + context.0.block_idx as u64;
    context.defer_counter(scalar_arg(args, 1) + 4 * index, scalar_arg(args, 3) as u32);
}

/// As `defer_by_block`, but only blocks of even number defer anything.
extern "C" fn defer_every_other(args: *const u64) {
    if Context::of(args).0.block_idx % 2 == 0 {
        defer_by_block(args);
    }
}

/// Waits for its counter 64 times, and counts in counter 1 that it has run.
extern "C" fn defer_to_capacity(args: *const u64) {
    for _ in 0..MAX_DEFERRED_CONDITIONS {
        defer_by_block(args);
    }
    counter(scalar_arg(args, 1), 1).fetch_add(1, Ordering::Relaxed);
}

/// Copies counter 1 to counter 2 and sets counter 0; scalar: address of counters.
extern "C" fn note_and_raise(args: *const u64) {
    let counters = scalar_arg(args, 0);
    let started = counter(counters, 1).load(Ordering::Relaxed);
    counter(counters, 2).store(started, Ordering::Relaxed);
    counter(counters, 0).store(1, Ordering::Release);
}

extern "C" fn nothing(_args: *const u64) {}

/// Counter `index` of those at `address`.
fn counter<'a>(address: u64, index: u64) -> &'a AtomicU32 {
    let place = core::ptr::with_exposed_provenance_mut::<u32>((address + 4 * index) as usize);
    // SAFETY: a live counter of the test.
    unsafe { AtomicU32::from_ptr(place) }
}

/// Scalars: address of counters, index, amount.
extern "C" fn raise(args: *const u64) {
    let counter = counter(scalar_arg(args, 0), scalar_arg(args, 1));
    counter.fetch_add(scalar_arg(args, 2) as u32, Ordering::Release);
}

/// Scalars behind the task's one tensor: address of counters, how many. Writes the smallest of them
/// into the tensor's first element.
extern "C" fn record_smallest(args: *const u64) {
    let counters = scalar_arg(args, 1);
    let smallest = (0..scalar_arg(args, 2))
        .map(|index| counter(counters, index).load(Ordering::Relaxed))
        .min();
    let element = elements(&tensor_arg(args, 0))[0];
    // SAFETY: a live test buffer, in whose use the tasks are ordered.
    unsafe { element.write(smallest.unwrap_or_default() as i32) };
}

const KERNELS: [Kernel; 8] = [
    defer_by_block,
    raise,
    record_smallest,
    defer_every_other,
    defer_to_capacity,
    note_and_raise,
    nothing,
    defer_wrongly,
];
const DEFER: i32 = 0;
const RAISE: i32 = 1;
const RECORD: i32 = 2;
const DEFER_EVERY_OTHER: i32 = 3;
const DEFER_TO_CAPACITY: i32 = 4;
const NOTE_AND_RAISE: i32 = 5;
const NOTHING: i32 = 6;
const DEFER_WRONGLY: i32 = 7;

/// Orders in which cores run that a test tries.
const SEEDS: u64 = 40;

/// Counters that kernels wait for.
struct Counters(Vec<AtomicU32>);

impl Counters {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU32::new(0)).collect())
    }

    fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// A task that waits for the counters from `first` on to reach `expected`.
    fn waiting(
        &self,
        task: Submission,
        buffer: &mut [i32],
        first: u64,
        expected: u64,
    ) -> Submission {
        let tensor = external(buffer, &[1]);
        let task = task.tensor(ArgTag::InOut, tensor);
        task.scalar(self.address()).scalar(first).scalar(expected)
    }

    fn raising(&self, index: u64, amount: u64) -> Submission {
        Submission::aic(RAISE).scalar(self.address()).scalar(index).scalar(amount)
    }

    /// A consumer of the buffer that notes the smallest counter.
    fn recording(&self, buffer: &mut [i32]) -> Submission {
        Submission::aiv(RECORD)
            .tensor(ArgTag::InOut, external(buffer, &[1]))
            .scalar(self.address())
            .scalar(self.0.len() as u64)
    }
}

/// Runs a task that waits for `waits_for` counters, tasks that raise each of them to 2 in two
/// steps, and a consumer that notes the smallest; for many orders in which cores run.
fn consumer_comes_after_all_conditions(task: impl Fn() -> Submission, waits_for: usize) {
    for seed in 1..=SEEDS {
        let counters = Counters::new(waits_for);
        let mut buffer = [-1];
        let outcome = Machine { seed, window: 64, ..Machine::default() }.run(&KERNELS, |session| {
            counters.waiting(task(), &mut buffer, 0, 2).submit(session);
            counters.recording(&mut buffer).submit(session);
            for index in 0..waits_for as u64 {
                counters.raising(index, 1).submit(session);
                counters.raising(index, 1).submit(session);
            }
        });
        assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
        assert_eq!(buffer, [2], "seed {seed}");
    }
}

#[test]
fn a_task_completes_after_its_condition_holds() {
    consumer_comes_after_all_conditions(|| Submission::aiv(DEFER), 1);
}

/// The reference counts a sub-task first and registers its conditions later (spec trb §14.1 item 3):
/// the consumer then comes when all blocks have been counted and some have not been registered.
#[test]
fn a_task_of_many_blocks_completes_after_the_conditions_of_all_of_them() {
    for blocks in [2, 3, 6, 9] {
        let task = || Submission::aiv(DEFER).blocks(blocks, false);
        consumer_comes_after_all_conditions(task, blocks as usize);
    }
}

#[test]
fn blocks_that_start_together_may_be_deferred() {
    let task = || Submission::aiv(DEFER).blocks(6, true);
    consumer_comes_after_all_conditions(task, 6);
}

#[test]
fn each_lane_of_a_mixed_task_has_conditions_of_its_own() {
    // All lanes of a block wait for the same counter.
    let all = MixedKernels { aic_kernel_id: DEFER, aiv0_kernel_id: DEFER, aiv1_kernel_id: DEFER };
    let vector = MixedKernels { aiv0_kernel_id: DEFER, aiv1_kernel_id: DEFER, ..NO_KERNELS };
    let one =
        MixedKernels { aic_kernel_id: DEFER_EVERY_OTHER, aiv1_kernel_id: DEFER, ..NO_KERNELS };
    for kernels in [all, vector, one] {
        let task = || Submission::of(kernels).blocks(3, false);
        consumer_comes_after_all_conditions(task, 3);
    }
}

#[test]
fn blocks_without_conditions_do_not_hurry_those_with() {
    for seed in 1..=SEEDS {
        let counters = Counters::new(3);
        // Of four blocks, those of number 0 and 2 wait.
        counters.0[1].store(u32::MAX, Ordering::Relaxed);
        let mut buffer = [-1];
        let outcome = Machine { seed, window: 64, ..Machine::default() }.run(&KERNELS, |session| {
            let task = Submission::aiv(DEFER_EVERY_OTHER).blocks(4, false);
            counters.waiting(task, &mut buffer, 0, 1).submit(session);
            counters.recording(&mut buffer).submit(session);
            let mut last = Submission::aic(NOTHING).submit(session).task_id;
            for index in [2, 0] {
                last = counters.raising(index, 1).after(last).submit(session).task_id;
            }
        });
        assert_eq!((outcome.code(), buffer), (0, [1]), "seed {seed}: {:?}", outcome.fault);
    }
}

/// Eight tasks on two vector cores wait for what the ninth does: it needs one of the cores.
#[test]
fn a_core_is_free_while_what_ran_on_it_waits() {
    let counters = Counters::new(1);
    let mut buffers = [[-1]; 9];
    let outcome =
        Machine { clusters: 1, window: 64, ..Machine::default() }.run(&KERNELS, |session| {
            for buffer in &mut buffers[..8] {
                counters.waiting(Submission::aiv(DEFER), buffer, 0, 3).submit(session);
            }
            let raising = Submission::aiv(RAISE).scalar(counters.address()).scalar(0).scalar(3);
            raising.submit(session);
            for buffer in &mut buffers[..8] {
                counters.recording(buffer).submit(session);
            }
        });
    assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
    assert_eq!(buffers[..8], [[3]; 8]);
}

/// More conditions than a thread's list holds: cores are held back, and nothing is lost.
#[test]
fn a_full_list_holds_cores_back_until_there_is_room() {
    const TASKS: usize = 80;
    const FIT: u32 = (WAITING_LIMIT / MAX_DEFERRED_CONDITIONS) as u32;
    for seed in [1, 2, 3] {
        let counters = Counters::new(3);
        let mut buffers = [[-1]; TASKS];
        let machine = Machine { seed, window: 256, ..Machine::default() };
        let outcome = machine.run(&KERNELS, |session| {
            for buffer in &mut buffers {
                let task = Submission::aiv(DEFER_TO_CAPACITY);
                counters.waiting(task, buffer, 0, 1).submit(session);
                let counter = Submission::aiv(RECORD)
                    .tensor(ArgTag::InOut, external(buffer, &[1]))
                    .scalar(counters.address())
                    .scalar(1);
                counter.submit(session);
            }
            // A chain on the cube cores, which nothing holds back, so that what they all wait for
            // comes last.
            let mut last = Submission::aic(NOTHING).submit(session).task_id;
            for _ in 0..60 {
                last = Submission::aic(NOTHING).after(last).submit(session).task_id;
            }
            Submission::aic(NOTE_AND_RAISE).after(last).scalar(counters.address()).submit(session);
        });
        assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
        assert_eq!(buffers, [[1]; TASKS]);
        // Those that fit into the list, and one on each of the six vector cores.
        assert_eq!(counters.0[2].load(Ordering::Relaxed), FIT + 6);
    }
}
