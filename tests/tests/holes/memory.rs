//! What is held, by whom, and for how long (spec callable §7.1). What the whole process holds is looked
//! at in processes of their own.

use std::sync::atomic::{AtomicUsize, Ordering};

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::device::sim::SimDevice;
use host_runner::device::{Device, DeviceError, DeviceUsage};
use host_runner::worker::{DeviceStart, RegisterError, Worker, WorkerConfig};
use protocol::{A2a3, CallableId};
use tests::child;
use tests::prepared::{cells_after, on_both_chips, testimony, witness};
use tests::process::Holdings;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_works, open, threads};

#[test]
fn h4_registrations_that_are_rejected_leave_no_mapping_and_no_descriptor() {
    let test = "memory::h4_registrations_that_are_rejected_leave_no_mapping_and_no_descriptor";
    child::alone(test, || {
        on_both_chips(|worker, platform| {
            let callable = witness(platform.chip(), 1, "fill");
            let handle = worker.register(&callable).unwrap();
            let beyond = CallableId::new(worker.facts().unwrap().callable_ids as i64).ok();
            let no_entry =
                Callable::builder(sources::witness_for(platform.chip(), 1)).entry("none");
            let no_entry = sources::packed(no_entry, Vec::new());
            let reject = || {
                let taken = worker.register_as(handle.id(), &callable);
                assert!(matches!(taken, Err(RegisterError::IdInUse { .. })), "{taken:?}");
                if let Some(beyond) = beyond {
                    let refused = worker.register_as(beyond, &callable);
                    assert!(matches!(refused, Err(RegisterError::IdOutOfRange { .. })));
                }
                let refused = worker.register(&no_entry);
                assert!(matches!(refused, Err(RegisterError::Orchestration { .. })));
            };
            cells_after(worker, &handle);
            reject();
            let (before, counters, usage) = (Holdings::now(), worker.counters(), worker.usage());
            (0..50).for_each(|_| reject());
            let after = Holdings { resident: before.resident, ..Holdings::now() };
            assert_eq!((after, worker.counters(), worker.usage()), (before, counters, usage));
            assert_eq!(cells_after(worker, &handle)[0], testimony(1, 2));
        });
    });
}

/// As many tensors as a run takes, all of which come back; what the run needs beside them is not among
/// them.
#[test]
fn h5_sixty_four_tensors_come_back_and_leave_nothing_on_the_device() {
    on_both_chips(|worker, platform| {
        let kernels = sources::cell_kernels_for(platform.chip());
        let callable = sources::callable_for(platform.chip(), "holes", "fills_all", kernels);
        let handle = worker.register(&callable).unwrap();
        let registered = worker.usage();
        let mut after_first = None;
        for number in 1..6 {
            let mut tensors = vec![[SENTINEL; 2]; 64];
            let mut arguments = Arguments::new();
            for tensor in &mut tensors {
                arguments.push_inout(tensor, &[2]).unwrap();
            }
            arguments.push_scalar(number).unwrap();
            let report = worker.run(&handle, &mut arguments, &threads(3)).unwrap();
            assert_eq!(report.tasks, 64);
            let expected = (0..64).map(|i| [number + 1000 * i, number + 1000 * i + 1]);
            assert!(tensors.iter().copied().eq(expected), "{tensors:?}");
            assert_eq!(*after_first.get_or_insert(worker.usage()), worker.usage());
        }
        assert_eq!(worker.usage().allocations, registered.allocations + 64, "a buffer for each");
        worker.unregister(&handle).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

/// Reads and writes of this process, of whatever.
fn input_and_output() -> Vec<u64> {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let number = |line: &str| line.split_once(": ").unwrap().1.parse().unwrap();
    text.lines().take(4).map(number).collect()
}

/// A run finds everything in place: what it needs is made by the first one.
#[test]
fn h12_a_steady_run_allocates_maps_opens_and_copies_nothing_but_its_tensors() {
    let test = "memory::h12_a_steady_run_allocates_maps_opens_and_copies_nothing_but_its_tensors";
    child::alone(test, || {
        on_both_chips(|worker, platform| {
            let kernels = sources::cell_kernels_for(platform.chip());
            // A chain, so that no task is ever ready beside another one and the threads that step
            // cores have no reason to become more.
            let callable = sources::callable_for(platform.chip(), "graphs", "chain", kernels);
            let handle = worker.register(&callable).unwrap();
            let run = |round: u64| {
                let expected = (0..10).fold(7, |state, step| 3 * state + round + step);
                let (input, cells) = (vec![round; 32], vec![7; 32]);
                let mut passed = Cells { input, cells, scalars: vec![10] };
                passed.run(worker, &handle, &threads(3)).unwrap();
                assert_eq!(passed.cells, [expected; 32]);
            };
            (0..50).for_each(run);
            let before = (worker.usage(), worker.memory_report(), Holdings::now());
            let uploaded = (worker.counters().loads, worker.counters().bytes_uploaded);
            // Looking at it counts itself, the same each time.
            let [first, second] = [(); 2].map(|()| input_and_output());
            (0..200).for_each(run);
            let third = input_and_output();
            let cost = |from: &[u64], to: &[u64]| [0, 2].map(|at| to[at] - from[at]);
            assert_eq!(cost(&second, &third), cost(&first, &second), "reads: bytes, calls");
            assert_eq!((third[1], third[3]), (second[1], second[3]), "writes: bytes, calls");
            let held = Holdings::now();
            assert!(held.resident <= before.2.resident + (1 << 19), "{before:?} {held:?}");
            let held = Holdings { resident: before.2.resident, ..held };
            assert_eq!((worker.usage(), worker.memory_report(), held), before);
            assert_eq!((worker.counters().loads, worker.counters().bytes_uploaded), uploaded);
        });
    });
}

/// What orchestrations allocate belongs to the runtime, so that nothing of it waits for the end of the
/// device.
#[test]
fn h13_what_a_run_allocates_on_the_device_does_not_outlive_its_callable() {
    on_both_chips(|worker, platform| {
        let kernels = || sources::cell_kernels_for(platform.chip());
        let fork = sources::callable_for(platform.chip(), "graphs", "fork_join", kernels());
        let fails = sources::callable_for(platform.chip(), "holes", "ends_with", kernels());
        let arenas = |worker: &Worker| {
            let report = worker.memory_report();
            let others = report.holders.iter().filter(|it| it.holder != "run arenas");
            assert_eq!(others.map(|it| it.bytes).sum::<usize>(), 0, "{report:?}");
            report.arena_reserved_bytes
        };
        let mut reserved = None;
        for round in 0..5 {
            let [fork, fails] = [&fork, &fails].map(|each| worker.register(each).unwrap());
            let mut passed = Cells { input: vec![1; 100], cells: vec![0; 100], scalars: vec![9] };
            passed.run(worker, &fork, &threads(3)).unwrap();
            let scalars = vec![4711 + round];
            let mut passed = Cells { cells: vec![0; 100], scalars, ..Cells::default() };
            passed.run(worker, &fails, &threads(3)).unwrap_err();
            worker.unregister(&fork).unwrap();
            worker.unregister(&fails).unwrap();
            assert_eq!(worker.usage(), DeviceUsage::default());
            // The arenas are the device's: as large after five rounds as after one.
            assert_eq!(*reserved.get_or_insert(arenas(worker)), arenas(worker));
        }
    });
}

/// A device that came up and then could not be used, again and again, and then one that can.
#[test]
fn r10_a_worker_whose_device_could_not_be_opened_gets_one_the_next_time_and_nothing_leaks() {
    let test = "memory::r10_a_worker_whose_device_could_not_be_opened_gets_one_the_next_time_and_nothing_leaks";
    child::alone(test, || {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let config = WorkerConfig::default().with_device_start(DeviceStart::AtFirstUse);
        let worker = Worker::open_on(config, || {
            let device = SimDevice::<A2a3>::open()?;
            if OPENED.fetch_add(1, Ordering::SeqCst) < 60 {
                let refused = std::io::Error::other("no AICPU program");
                return Err(DeviceError::System { what: "the AICPU program", source: refused });
            }
            Ok(Box::new(device) as Box<dyn Device>)
        });
        let worker = worker.unwrap();
        let callable = witness(protocol::ChipName::A2a3, 1, "fill");
        let fail = || {
            let error = worker.register(&callable).unwrap_err();
            assert!(matches!(error, RegisterError::Device(_)), "{error:?}");
            assert_eq!(worker.usage(), DeviceUsage::default());
        };
        (0..20).for_each(|_| fail());
        let before = Holdings::now();
        (0..40).for_each(|_| fail());
        let after = Holdings::now();
        assert_eq!((after.threads, after.descriptors), (before.threads, before.descriptors));
        assert!(after.mappings <= before.mappings + 8, "{before:?} {after:?}");
        let handle = worker.register(&callable).unwrap();
        assert_eq!(handle.id().index(), 0, "no failure has used an id");
        assert_eq!(cells_after(&worker, &handle)[0], testimony(1, 1));
        assert_works(&worker, &threads(3));
        assert_works(&open(), &threads(3));
    });
}
