//! Blocks and lanes: which cores a task gets, and when.

use protocol::{ArgTag, LocalContext, MixedKernels, StatusCode};

use super::{scalar_arg, tensor_arg};
use crate::testing::Machine;
use crate::testing::submission::{NO_KERNELS, Submission, elements, external, view};

/// Adds 1 to element `block_idx * 3 + sub-block lane` of its tensor; scalar: lane base.
extern "C" fn count_block(args: *const u64) {
    let local = core::ptr::with_exposed_provenance::<LocalContext>(scalar_arg(args, 48) as usize);
    // SAFETY: the executor points it at the core's context.
    let context = unsafe { *local };
    let elements = elements(&tensor_arg(args, 0));
    let element = elements[context.block_idx as usize];
    // SAFETY: as in `mix`; every block has its own element.
    unsafe { element.write(element.read() + context.block_num) };
}

#[test]
fn every_block_of_every_lane_runs_once() {
    for (kernels, lanes) in [
        (MixedKernels { aic_kernel_id: 0, aiv0_kernel_id: 0, aiv1_kernel_id: 0 }, 3),
        (MixedKernels { aic_kernel_id: 0, ..NO_KERNELS }, 1),
        (MixedKernels { aiv1_kernel_id: 0, ..NO_KERNELS }, 1),
        (MixedKernels { aiv0_kernel_id: 0, aiv1_kernel_id: 0, ..NO_KERNELS }, 2),
    ] {
        for blocks in [1, 2, 3, 4, 48] {
            let mut counts = std::vec![0; 48];
            let outcome = Machine::default().run(&[count_block], |session| {
                Submission::of(kernels)
                    .tensor(ArgTag::InOut, external(&mut counts, &[48]))
                    .blocks(blocks, false)
                    .submit(session);
            });
            assert_eq!(outcome.code(), 0);
            let (run, rest) = counts.split_at(usize::try_from(blocks).unwrap());
            assert!(run.iter().all(|count| *count == lanes * i32::from(blocks)), "{counts:?}");
            assert!(rest.iter().all(|count| *count == 0), "{counts:?}");
        }
    }
}

#[test]
fn blocks_that_start_together_all_start_before_any_ends() {
    for seed in 1..=20 {
        let mut counts = std::vec![0; 48];
        let mut others = std::vec![0; 48];
        let outcome =
            Machine { seed, window: 64, ..Machine::default() }.run(&[count_block], |session| {
                for part in 0..8 {
                    let whole = external(&mut others, &[48]);
                    let tensor = view(&whole, &[4], &[part * 4]);
                    Submission::aiv(0)
                        .tensor(ArgTag::InOut, tensor)
                        .blocks(4, false)
                        .submit(session);
                }
                let tensor = external(&mut counts, &[48]);
                Submission::aiv(0).tensor(ArgTag::InOut, tensor).blocks(6, true).submit(session);
                let tensor = view(&external(&mut others, &[48]), &[3], &[40]);
                let all = MixedKernels { aic_kernel_id: 0, aiv0_kernel_id: 0, aiv1_kernel_id: 0 };
                Submission::of(all).tensor(ArgTag::InOut, tensor).blocks(3, true).submit(session);
            });
        assert_eq!((outcome.code(), outcome.tasks), (0, 10), "{:?}", outcome.fault);
        // The mixed task needs all nine cores at one time.
        assert_eq!(outcome.most_at_once, 9, "seed {seed}");
        assert_eq!(&counts[..7], [6, 6, 6, 6, 6, 6, 0]);
    }
}

#[test]
fn more_synchronous_blocks_than_cores_are_refused() {
    let mut counts = std::vec![0; 48];
    let outcome = Machine::default().run(&[count_block], |session| {
        let tensor = external(&mut counts, &[48]);
        Submission::aiv(0).tensor(ArgTag::InOut, tensor).blocks(7, true).submit(session);
    });
    assert_eq!(outcome.code(), StatusCode::RequireSyncStartInvalid.code());
}
