//! What is copied to the device and back: as the arguments say, or as the callable declares.

use host_runner::arguments::{Arguments, OwnedArguments, OwnedData, TensorArgument, TensorData};
use host_runner::run::{RunError, RunReport};
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};
use protocol::{ArgDirection, DataType};
use tests::sources;
use tests::spied_device::SpiedDevice;

use super::setting::{bytes_of, config};

/// A worker whose device counts what is copied.
fn open() -> (Worker, SpiedDevice) {
    let device = SpiedDevice::open().unwrap();
    let its = device.clone();
    let open =
        move || -> Result<Box<dyn host_runner::device::Device>, _> { Ok(Box::new(its.clone())) };
    (Worker::open_on(WorkerConfig::default(), open).unwrap(), device)
}

/// Registers the callable that shows what it got and scribbles on it, with a signature.
fn register(worker: &Worker, signature: &[ArgDirection]) -> CallableHandle {
    let image = sources::orchestration("runs");
    let builder = host_runner::callable::Callable::builder(image)
        .entry("copies_and_scribbles")
        .signature(signature.to_vec());
    worker.register(&sources::packed(builder, sources::cell_kernels())).unwrap()
}

/// What a tensor is passed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    In,
    Out,
    InOut,
    Declared,
}

/// What a caller's cell holds before a run.
const MARK: u64 = 77;

/// Runs with one cell of `MARK` for each of `passed`. What the device saw, and the cells afterwards.
fn run(
    worker: &Worker,
    handle: &CallableHandle,
    passed: &[Passed],
    fails: bool,
) -> (Result<RunReport, RunError>, Vec<u64>, Vec<u64>) {
    let mut seen = vec![0_u8; 8 * passed.len()];
    let mut cells = vec![MARK.to_le_bytes(); passed.len()];
    let mut arguments = Arguments::new();
    let mut push = |data, count| {
        let dtype = DataType::Uint64;
        arguments.push_tensor(TensorArgument { data, dtype, shape: vec![count] }).unwrap();
    };
    push(TensorData::InOut(&mut seen), u32::try_from(passed.len()).unwrap());
    for (cell, passed) in cells.iter_mut().zip(passed) {
        let data = match passed {
            Passed::In => TensorData::In(cell),
            Passed::Out => TensorData::Out(cell),
            Passed::InOut => TensorData::InOut(cell),
            Passed::Declared => TensorData::Declared(cell),
        };
        push(data, 1);
    }
    arguments.push_scalar(fails.into()).unwrap();
    let result = worker.run(handle, &mut arguments, &config());
    drop(arguments);
    let seen = seen.chunks_exact(8).map(|cell| u64::from_le_bytes(cell.try_into().unwrap()));
    (result, seen.collect(), cells.into_iter().map(u64::from_le_bytes).collect())
}

#[test]
fn inputs_go_in_outputs_come_back_and_nothing_else_is_moved() {
    let (worker, device) = open();
    let handle = register(&worker, &[]);
    device.take_traffic();
    let passed = [Passed::In, Passed::Out, Passed::InOut];
    let (result, seen, cells) = run(&worker, &handle, &passed, false);
    result.unwrap();
    assert_eq!(seen, [MARK, 0, MARK], "what is only written does not arrive");
    assert_eq!(cells, [MARK, 1002, 1003], "what is only read does not come back");
    // Besides the 24 bytes that show what was seen.
    assert_eq!(device.take_traffic(), (24 + 16, 24 + 16));
    // The buffer of an output is kept, and what an earlier run left in it.
    let (_, seen, _) = run(&worker, &handle, &passed, false);
    assert_eq!(seen, [MARK, 1002, MARK]);
}

#[test]
fn declared_tensors_follow_the_signature_and_the_rest_goes_both_ways() {
    use ArgDirection::{In, InOut, Out, Scalar};
    let (worker, device) = open();
    let declared = register(&worker, &[InOut, In, Out, InOut, Scalar]);
    device.take_traffic();
    let (result, seen, cells) = run(&worker, &declared, &[Passed::Declared; 5], false);
    result.unwrap();
    assert_eq!(seen, [MARK, 0, MARK, MARK, MARK]);
    assert_eq!(cells, [MARK, 1002, 1003, 1004, 1005]);
    assert_eq!(device.take_traffic(), (40 + 32, 40 + 32));
    let expected = [InOut, In, Out, InOut, InOut, InOut];
    assert_eq!((0..6).map(|index| declared.direction(index)).collect::<Vec<_>>(), expected);

    let undeclared = register(&worker, &[]);
    device.take_traffic();
    let (result, seen, cells) = run(&worker, &undeclared, &[Passed::Declared; 2], false);
    result.unwrap();
    assert_eq!((seen, cells), (vec![MARK; 2], vec![1001, 1002]));
    assert_eq!(device.take_traffic(), (16 + 16, 16 + 16));
}

#[test]
fn what_the_arguments_say_goes_before_what_the_callable_declares() {
    use ArgDirection::{In, InOut, Out};
    let (worker, _device) = open();
    let handle = register(&worker, &[InOut, Out, InOut, In]);
    let passed = [Passed::In, Passed::Out, Passed::InOut];
    let (result, seen, cells) = run(&worker, &handle, &passed, false);
    result.unwrap();
    assert_eq!((seen, cells), (vec![MARK, 0, MARK], vec![MARK, 1002, 1003]));
}

#[test]
fn after_a_fault_nothing_comes_back() {
    use ArgDirection::{In, InOut, Out};
    let (worker, device) = open();
    let handle = register(&worker, &[InOut, In, Out, InOut, Out]);
    let passed = [Passed::In, Passed::Out, Passed::InOut, Passed::Declared, Passed::Declared];
    device.take_traffic();
    let (result, seen, cells) = run(&worker, &handle, &passed, true);
    assert!(matches!(result, Err(RunError::Fault(_))), "{result:?}");
    assert_eq!((seen, cells), (vec![0; 5], vec![MARK; 5]));
    assert_eq!(device.take_traffic().1, 0);
    // All of it was there to be copied back: the next run sees it in the buffers of its outputs.
    let (_, seen, cells) = run(&worker, &handle, &[Passed::Out; 5], false);
    assert_eq!(seen, [1001, 1002, 1003, 1004, 1005]);
    assert_eq!(cells, seen);
}

#[test]
fn device_tensors_are_left_where_they_are() {
    let (worker, device) = open();
    let handle = register(&worker, &[]);
    let memory = worker.allocate(16).unwrap();
    worker.copy_in(memory, &bytes_of(&[5, 6])).unwrap();
    let mut arguments = OwnedArguments::new();
    arguments.push_inout(&[0_u64], &[1]).unwrap();
    arguments.push_device(memory, DataType::Uint64, &[1]).unwrap();
    arguments.push_scalar(0).unwrap();
    device.take_traffic();
    let output = worker.submit(&handle, arguments, &config()).unwrap().wait().unwrap();
    assert_eq!(output.arguments.elements::<u64>(0), Some(vec![5]));
    assert_eq!(device.take_traffic(), (8, 8), "that of the tensor that shows it");
    let mut back = [0; 16];
    worker.copy_out(&mut back, memory).unwrap();
    assert_eq!(back.as_slice(), bytes_of(&[1001, 6]));
}

#[test]
fn owned_arguments_have_the_same_directions() {
    use ArgDirection::{In, InOut};
    let (worker, device) = open();
    let handle = register(&worker, &[InOut, InOut, InOut, InOut, In]);
    let cell = || MARK.to_le_bytes().to_vec();
    let mut arguments = OwnedArguments::new();
    let mut push = |data, count: u32| {
        arguments.push_tensor(data, DataType::Uint64, &[count]).unwrap();
    };
    push(OwnedData::InOut(vec![0; 32]), 4);
    push(OwnedData::In(cell().into()), 1);
    push(OwnedData::Out(cell()), 1);
    push(OwnedData::InOut(cell()), 1);
    push(OwnedData::Declared(cell()), 1);
    arguments.push_scalar(0).unwrap();
    device.take_traffic();
    let output = worker.submit(&handle, arguments, &config()).unwrap().wait().unwrap();
    let after = |index| output.arguments.elements::<u64>(index).unwrap();
    assert_eq!(after(0), [MARK, 0, MARK, MARK]);
    assert_eq!([1, 2, 3, 4].map(after).concat(), [MARK, 1002, 1003, MARK]);
    assert_eq!(device.take_traffic(), (32 + 24, 32 + 16));
}
