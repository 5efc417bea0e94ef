//! What a submission costs, by itself. A few scopes only, unless the variable `COST_OF` says of what
//! (a part of a name below, or nothing for all); then in release, with `--nocapture`.

use std::println;
use std::time::{Duration, Instant};
use std::vec::Vec;

use protocol::{Arg, ArgTag, MixedKernels, ScopeMode, Tensor};
use zerocopy::FromZeros;

use crate::testing::submission::{NO_KERNELS, external, view};
use crate::testing::{Machine, Session};

/// A kernel that does nothing.
extern "C" fn nothing(_: *const u64) {}

/// Tasks of a scope.
const BATCH: usize = 256;
const BATCHES: usize = 400;
/// Scopes when nobody wants to know.
const BATCHES_UNASKED: usize = 6;

/// Times the submission and the end of scopes of tasks with these tensors.
///
/// There is one argument record, as on the stack of an orchestration; its last tensor changes.
fn measure(name: &str, inputs: &[Tensor], targets: &[Tensor]) {
    let only = std::env::var("COST_OF").ok();
    if only.as_ref().is_some_and(|only| !name.contains(only)) {
        return;
    }
    let (window, batches) = match only {
        Some(_) => (16384, BATCHES),
        None => (1024, BATCHES_UNASKED),
    };
    let kernels = MixedKernels { aiv0_kernel_id: 0, ..NO_KERNELS };
    let machine = Machine { window, heap_bytes: 1 << 22, ..Machine::default() };
    let mut tensors = inputs.to_vec();
    tensors.push(targets[0]);
    let mut arg = record(&tensors);
    let (mut submitting, mut ending) = (Vec::new(), Vec::new());
    let outcome = machine.run(&[nothing], |session| {
        let Session { orchestrator, services } = session;
        for batch in 0..batches {
            orchestrator.scope_begin(services, ScopeMode::Auto).unwrap();
            let start = Instant::now();
            for task in 0..BATCH {
                tensors[inputs.len()] = targets[(batch * BATCH + task) % targets.len()];
                arg.tensors[inputs.len()] =
                    (&raw const tensors[inputs.len()]).expose_provenance() as u64;
                let arg = &raw const arg;
                // SAFETY: the record and what it points at live as long as the run.
                let result = unsafe { orchestrator.submit(services, &raw const kernels, arg) };
                assert!(result.task_id.is_valid());
            }
            let middle = Instant::now();
            orchestrator.scope_end(services).unwrap();
            ending.push(middle.elapsed());
            submitting.push(middle - start);
            let (all, scheduler) = (((batch + 1) * BATCH) as u64, services.scheduler);
            let region = *orchestrator.region();
            let done = || (scheduler.completed() == all).then_some(());
            services.work_until(&region, done).unwrap();
        }
    });
    assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
    let each = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        let at = |part: usize| times[batches * part / 100].as_nanos() as f64 / BATCH as f64;
        (at(10), at(50))
    };
    let (submit, end) = (each(&mut submitting), each(&mut ending));
    println!(
        "{name}: submit p10 {:.0} p50 {:.0} ns, scope end p10 {:.1} p50 {:.1}",
        submit.0, submit.1, end.0, end.1
    );
}

/// A record of these tensors, of which the last one is changed.
fn record(tensors: &[Tensor]) -> Arg {
    let mut arg = Arg::new_zeroed();
    arg.launch_spec.block_num = 1;
    for (index, tensor) in tensors.iter().enumerate() {
        arg.tags[index] = ArgTag::Input as i32;
        arg.tensors[index] = core::ptr::from_ref(tensor).expose_provenance() as u64;
    }
    arg.tags[tensors.len() - 1] = ArgTag::InOut as i32;
    arg.tensor_count = tensors.len() as i32;
    arg.scalar_count = 1;
    arg
}

#[test]
fn a_submission_says_what_it_costs() {
    let mut inputs: Vec<Vec<i32>> = (0..3).map(|_| std::vec![0; 64]).collect();
    let mut outputs: Vec<Vec<i32>> = (0..1024).map(|_| std::vec![0; 16]).collect();
    let mut parted = std::vec![0_i32; 16 * 1024];
    let inputs: Vec<_> = inputs.iter_mut().map(|input| external(input, &[64])).collect();
    let own: Vec<_> = outputs.iter_mut().map(|output| external(output, &[16])).collect();
    measure("own buffers", &inputs, &own);
    let whole = external(&mut parted, &[1024, 16]);
    let parts: Vec<_> = (0..1024).map(|part| view(&whole, &[1, 16], &[part, 0])).collect();
    measure("views of one buffer", &inputs, &parts);
    measure("chain", &inputs, &own[..1]);
    measure("one tensor", &[], &own);
}
