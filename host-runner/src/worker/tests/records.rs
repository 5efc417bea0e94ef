//! What a run's record holds when it goes to the device.

use std::sync::Arc;

use protocol::{A2a3, ChipStorageTaskArgs, HostApi, RuntimeBody, TensorPair};

use super::*;
use crate::device::failing::{FailingDevice, Failures};
use crate::device::sim::SimDevice;
use crate::registry::PlacedWork;

/// Spec callable §7.2, S9: the record has addresses of the device and nothing else of the host: no
/// pointers of the caller, no functions, and nothing of an earlier run behind what this one passes.
#[test]
fn s9_the_record_of_a_run_holds_nothing_of_the_host() {
    let failures = Arc::<Failures>::default();
    let of_device = Arc::clone(&failures);
    let worker = Worker::open_on(WorkerConfig::default(), move || -> Result<Box<dyn Device>, _> {
        Ok(Box::new(FailingDevice::with(SimDevice::<A2a3>::open()?, Arc::clone(&of_device))))
    });
    let worker = worker.unwrap();
    let handle = worker.register(&storing(1)).unwrap();
    // A run with many arguments first, whose rests would show.
    let (inputs, mut output) = ([[7_i32]; 20], [-1_i32]);
    let mut arguments = Arguments::new();
    arguments.push_output(&mut output, &[1]).unwrap();
    inputs.iter().for_each(|input| arguments.push_input(input, &[1]).unwrap());
    (0..30).for_each(|value| arguments.push_scalar(0x5EC2_E700 + value).unwrap());
    worker.run(&handle, &mut arguments, &RunConfig::default()).unwrap();
    drop(arguments);
    failures.take_record().unwrap();

    let mut output = [-1_i32];
    let of_caller = output.as_ptr().expose_provenance() as u64;
    let mut arguments = Arguments::new();
    arguments.push_output(&mut output, &[1]).unwrap();
    arguments.push_scalar(41).unwrap();
    worker.run(&handle, &mut arguments, &RunConfig::default()).unwrap();
    assert_eq!(output, [42]);
    let record = failures.take_record().unwrap();

    let args = &record.orch_args;
    assert_eq!((args.tensor_count, args.scalar_count, args.scalars[0]), (1, 1, 41));
    let placement = handle.callable().placement();
    let PlacedWork::Orchestration(placed) = placement.as_ref().unwrap().work() else { panic!() };
    let buffer = placed.buffers.borrow_mut().all()[0].address();
    drop(placement);
    assert_eq!(args.tensors[0].data, buffer.raw());
    assert_ne!(args.tensors[0].data, of_caller);
    let nothing = ChipStorageTaskArgs::default();
    assert_eq!(args.tensors[1..], nothing.tensors[1..], "nothing behind what is passed");
    assert_eq!(args.scalars[1..], nothing.scalars[1..]);

    assert_eq!(record.host_api, HostApi::default());
    let pointers = [
        record.pending_orch_so_data,
        record.pending_orch_so_size,
        record.pending_host_dlopen_handle,
        record.pending_host_orch_func_ptr,
    ];
    assert_eq!(pointers, [0; 4]);
    assert_eq!(record.tensor_pair_count, 0);
    assert!(record.tensor_pairs.iter().all(|pair| *pair == TensorPair::default()));
    assert_eq!(record.registered_kernel_count, 0);
    assert!(record.registered_kernel_func_ids.iter().all(|id| *id == 0));
    assert!(record.func_id_to_addr[1..].iter().all(|address| *address == 0));
    let name_end = record.device_orch_func_name.iter().position(|byte| *byte == 0).unwrap();
    assert!(record.device_orch_func_name[name_end..].iter().all(|byte| *byte == 0));
}

/// The func ids that a record has kernels for.
fn func_ids(record: &RuntimeBody) -> Vec<usize> {
    let table = record.func_id_to_addr.iter().enumerate();
    table.filter(|(_, address)| **address != 0).map(|(index, _)| index).collect()
}

#[test]
fn a_record_has_the_kernels_of_its_own_callable_and_no_others_whichever_came_before() {
    let failures = Arc::<Failures>::default();
    let of_device = Arc::clone(&failures);
    let worker = Worker::open_on(WorkerConfig::default(), move || -> Result<Box<dyn Device>, _> {
        Ok(Box::new(FailingDevice::with(SimDevice::<A2a3>::open()?, Arc::clone(&of_device))))
    });
    let worker = worker.unwrap();
    let storing_with = |func_ids: &[i64]| {
        let image = orchestration("store(0, args.tensors[0].data, args.scalars[0]);");
        let kernels = func_ids.iter().map(|func_id| store_kernel(*func_id, 1)).collect();
        worker.register(&callable(image, kernels)).unwrap()
    };
    let handles = [storing_with(&[0, 1, 1023]), storing_with(&[0, 7]), storing_with(&[0, 1])];
    let expected = [vec![0, 1, 1023], vec![0, 7], vec![0, 1]];
    for which in [0, 0, 1, 2, 1, 0, 2, 2] {
        let output = run_storing(&worker, &handles[which], 5, &RunConfig::default()).unwrap().0;
        assert_eq!(output, 6);
        assert_eq!(func_ids(&failures.take_record().unwrap()), expected[which]);
    }
    let [first, second, third] = handles;
    worker.unregister(&first).unwrap();
    worker.unregister(&third).unwrap();
    run_storing(&worker, &second, 5, &RunConfig::default()).unwrap();
    assert_eq!(func_ids(&failures.take_record().unwrap()), expected[1]);
}
