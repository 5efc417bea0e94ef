//! What an orchestration may not ask for.

use protocol::{ArgTag, StatusCode, TaskId, Tensor};

use super::{mix, set};
use crate::testing::submission::{NO_KERNELS, Submission, external, output};
use crate::testing::{Kernel, Machine, Session};

#[test]
fn element_access_outside_the_buffer_is_refused() {
    let mut buffer = std::vec![1; 4];
    let outcome = Machine::default().run(&[], |session| {
        let tensor = external(&mut buffer, &[4]);
        let Session { orchestrator, services } = session;
        assert_eq!(orchestrator.get_tensor_data(services, &tensor, &[4]), 0);
    });
    assert_eq!(outcome.code(), StatusCode::InvalidArgs.code());
}

#[test]
fn bad_submissions_are_refused_with_their_reason() {
    let mut buffer = std::vec![0; 4];
    let tensor = external(&mut buffer, &[4]);
    let cases: [(&str, Submission, StatusCode); 9] = [
        ("no kernel", Submission::of(NO_KERNELS), StatusCode::InvalidArgs),
        ("unknown kernel", Submission::aiv(1), StatusCode::KernelMissing),
        ("kernel out of range", Submission::aiv(4096), StatusCode::KernelMissing),
        ("no block", Submission::aiv(0).blocks(0, false), StatusCode::InvalidArgs),
        (
            "too many tensors",
            Submission::aiv(0).with(|arg| arg.tensor_count = 17),
            StatusCode::InvalidArgs,
        ),
        (
            "null tensor",
            Submission::aiv(0).with(|arg| arg.tensor_count = 1),
            StatusCode::InvalidArgs,
        ),
        (
            "unknown tag",
            Submission::aiv(0).tensor(ArgTag::Input, tensor).with(|arg| arg.tags[0] = 9),
            StatusCode::InvalidArgs,
        ),
        (
            "six dimensions",
            Submission::aiv(0).tensor(ArgTag::Input, Tensor { ndims: 6, ..tensor }),
            StatusCode::InvalidArgs,
        ),
        (
            "unknown dependency",
            Submission::aiv(0).after(TaskId::new(0, 7)),
            StatusCode::InvalidArgs,
        ),
    ];
    for (what, task, code) in cases {
        let outcome = Machine::default().run(&[set as Kernel], |session| {
            let outputs = task.submit(session);
            assert!(!outputs.task_id.is_valid(), "{what}");
            // Everything after a fault does nothing.
            let later = Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(1).submit(session);
            assert!(!later.task_id.is_valid(), "{what}");
        });
        assert_eq!(outcome.code(), code.code(), "{what}: {:?}", outcome.fault);
    }
    assert_eq!(buffer, [0; 4]);
}

#[test]
fn alloc_tensors_takes_create_infos_only() {
    let mut buffer = std::vec![0; 4];
    let tensor = external(&mut buffer, &[4]);
    let cases = [
        Submission::of(NO_KERNELS),
        Submission::of(NO_KERNELS).create(&[4], None).scalar(1),
        Submission::of(NO_KERNELS).tensor(ArgTag::Input, tensor),
    ];
    for task in cases {
        let outcome = Machine::default().run(&[], |session| {
            assert!(!task.alloc(session).task_id.is_valid());
        });
        assert_eq!(outcome.code(), StatusCode::InvalidArgs.code());
    }
    let outcome = Machine::default().run(&[mix], |session| {
        let made = Submission::of(NO_KERNELS).create(&[4], Some(3)).alloc(session);
        let accumulator = output(&made, 0);
        for number in 0..3 {
            Submission::aiv(0)
                .tensor(ArgTag::InOut, accumulator)
                .scalar(0)
                .scalar(number)
                .submit(session);
        }
        let Session { orchestrator, services } = session;
        let value = orchestrator.get_tensor_data(services, &accumulator, &[2]);
        assert_eq!(value, ((3 * 31) * 31 + 1) * 31 + 2);
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 4));
}
