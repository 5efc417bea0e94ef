//! The user's memory on the device: bounds, whose it is, and the report of who holds what.

use host_runner::device::{Device, DeviceError, Holder, MemoryError};
use host_runner::worker::{DeviceStart, MemoryReport, MemoryUse, Worker, WorkerConfig};
use protocol::DeviceAddr;
use tests::spied_device::SpiedDevice;
use tests::workers::open;

use super::setting::{Held, bytes_of, cells, config, register, sum, until};

#[track_caller]
fn assert_out_of_range(result: Result<(), DeviceError>, at: u64, count: usize) {
    match result {
        Err(DeviceError::Memory(MemoryError::OutOfRange { address, bytes })) => {
            assert_eq!((address.raw(), bytes), (at, count));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_unknown(result: Result<(), DeviceError>, at: DeviceAddr) {
    match result {
        Err(DeviceError::Memory(MemoryError::UnknownAddress { address })) => {
            assert_eq!(address, at);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn copies_stay_inside_one_allocation() {
    let worker = open();
    let memory = worker.allocate(100).unwrap();
    assert!(memory.is_aligned_to(64));
    let mut back = vec![1; 100];
    worker.copy_out(&mut back, memory).unwrap();
    assert_eq!(back, [0; 100], "fresh memory is zeroed");
    let ranges = [
        (memory.raw(), 101),
        (memory.raw() + 99, 2),
        (memory.raw() + 101, 0),
        (memory.raw() - 1, 1),
        (0, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 8),
    ];
    for (at, count) in ranges {
        let address = DeviceAddr::new(at);
        assert_out_of_range(worker.copy_in(address, &vec![9; count]), at, count);
        assert_out_of_range(worker.copy_out(&mut vec![9; count], address), at, count);
    }
    // Nor is a tensor that begins in the allocation and ends outside it.
    let notes = register(&worker, "notes");
    let mut arguments = host_runner::arguments::OwnedArguments::new();
    arguments.push_device(memory, protocol::DataType::Uint64, &[13]).unwrap();
    arguments.push_scalar(1).unwrap();
    let refused = worker.submit(&notes, arguments, &config()).unwrap().wait();
    assert!(matches!(refused, Err(host_runner::run::RunError::Memory(_))), "{refused:?}");
    worker.copy_out(&mut back, memory).unwrap();
    assert_eq!(back, [0; 100], "refused copies change nothing");
    worker.copy_in(DeviceAddr::new(memory.raw() + 99), &[7]).unwrap();
    worker.copy_out(&mut back, memory).unwrap();
    assert_eq!((back[98], back[99]), (0, 7));
}

#[test]
fn allocations_of_nothing_and_of_too_much() {
    let worker = open();
    let nothing = [(); 2].map(|()| worker.allocate(0).unwrap());
    assert_ne!(nothing[0], nothing[1]);
    worker.copy_in(nothing[0], &[]).unwrap();
    worker.copy_out(&mut [], nothing[0]).unwrap();
    assert_out_of_range(worker.copy_in(nothing[0], &[1]), nothing[0].raw(), 1);
    for bytes in [usize::MAX, isize::MAX as usize] {
        let refused = worker.allocate(bytes);
        let Err(DeviceError::Memory(MemoryError::Exhausted { bytes: wanted })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(wanted, bytes);
    }
    for address in nothing {
        worker.free(address).unwrap();
    }
    assert_eq!(worker.usage(), Default::default());
}

#[test]
fn what_is_freed_or_of_another_worker_is_not_known() {
    let (worker, other) = (open(), open());
    let memory = worker.allocate(64).unwrap();
    assert_unknown(other.free(memory), memory);
    assert_out_of_range(other.copy_in(memory, &[1]), memory.raw(), 1);
    assert_out_of_range(other.copy_out(&mut [1], memory), memory.raw(), 1);
    let middle = DeviceAddr::new(memory.raw() + 8);
    assert_unknown(worker.free(middle), middle);
    worker.copy_in(memory, &[3]).unwrap();
    worker.free(memory).unwrap();
    assert_unknown(worker.free(memory), memory);
    assert_unknown(worker.free(DeviceAddr::NULL), DeviceAddr::NULL);
    assert_out_of_range(worker.copy_out(&mut [1], memory), memory.raw(), 1);
}

#[test]
fn what_belongs_to_a_callable_is_not_the_users_to_free() {
    let device = SpiedDevice::open().unwrap();
    let its = device.clone();
    let open = move || -> Result<Box<dyn Device>, DeviceError> { Ok(Box::new(its.clone())) };
    let worker = Worker::open_on(WorkerConfig::default(), open).unwrap();
    let handle = register(&worker, "adds");
    let run = || worker.submit(&handle, sum(&[0; 8].into(), 6), &config()).unwrap().wait();
    run().unwrap();
    let given = device.given();
    let count = |kind: fn(&Holder) -> bool| given.iter().filter(|(holder, _)| kind(holder)).count();
    assert_eq!(count(|holder| matches!(holder, Holder::Orchestration)), 1);
    assert_eq!(count(|holder| matches!(holder, Holder::Kernel)), 4);
    assert_eq!(count(|holder| matches!(holder, Holder::Tensors(_))), 2);
    let usage = worker.usage();
    for (_, address) in given {
        assert_unknown(worker.free(address), address);
    }
    assert_eq!(worker.usage(), usage);
    assert_eq!(cells(run(), 1), [6]);
}

/// What a holder has: allocations, bytes, and the most bytes so far.
fn of(report: &MemoryReport, holder: &str) -> Option<(usize, usize, usize)> {
    let found: Vec<&MemoryUse> = report.holders.iter().filter(|it| it.holder == holder).collect();
    match found[..] {
        [] => None,
        [it] => Some((it.allocations, it.bytes, it.high_water_bytes)),
        _ => panic!("{holder} is there twice: {found:?}"),
    }
}

/// Reports of a worker, each compared with the one before.
struct Reports<'w>(&'w Worker, MemoryReport);

impl Reports<'_> {
    fn next(&mut self) -> MemoryReport {
        let (before, now) = (&self.1, self.0.memory_report());
        let sum = |it: &MemoryReport| it.holders.iter().map(|it| it.bytes).sum::<usize>();
        assert_eq!(sum(&now), now.bytes);
        assert!(now.high_water_bytes >= now.bytes.max(before.high_water_bytes));
        for holder in &now.holders {
            assert!(holder.high_water_bytes >= holder.bytes, "{holder:?}");
            let earlier = before
                .holders
                .iter()
                .find(|it| (it.holder, it.callable_id) == (holder.holder, holder.callable_id));
            let earlier = earlier.map_or(0, |it| it.high_water_bytes);
            assert!(holder.high_water_bytes >= earlier, "{holder:?}");
        }
        assert!(now.queue.high_water_runs >= before.queue.high_water_runs);
        assert!(now.queue.high_water_bytes >= before.queue.high_water_bytes);
        self.1 = now.clone();
        now
    }
}

#[test]
fn the_report_says_who_holds_what_and_the_most_that_has_been() {
    let worker = open();
    let mut reports = Reports(&worker, MemoryReport::default());
    assert_eq!(of(&reports.next(), "user"), None);
    let memory = worker.allocate(1000).unwrap();
    assert_eq!(of(&reports.next(), "user"), Some((1, 1000, 1000)));

    let handle = register(&worker, "adds");
    let report = reports.next();
    let (images, image_bytes, _) = of(&report, "orchestrations").unwrap();
    let (kernels, kernel_bytes, _) = of(&report, "kernels").unwrap();
    assert_eq!((images, kernels, of(&report, "tensors")), (1, 4, None));
    assert!(image_bytes > 1000 && kernel_bytes > 4000 && of(&report, "code").unwrap().1 > 1000);
    let same_bytes = register(&worker, "doubles");
    let report = reports.next();
    assert_eq!(of(&report, "orchestrations"), Some((1, image_bytes, image_bytes)));
    assert_eq!(of(&report, "kernels"), Some((4, kernel_bytes, kernel_bytes)));
    worker.unregister(&same_bytes).unwrap();

    let run = |count: usize| {
        let input = bytes_of(&vec![1; count]).into();
        worker.submit(&handle, sum(&input, 1), &config()).unwrap().wait().unwrap();
    };
    run(10);
    let report = reports.next();
    assert_eq!(of(&report, "tensors"), Some((2, 160, 160)));
    let tensors = report.holders.iter().find(|it| it.holder == "tensors").unwrap();
    assert_eq!(tensors.callable_id, Some(handle.id().raw()));
    assert_eq!(tensors.callable.as_deref(), Some("adds"));
    assert_eq!(of(&report, "run arenas").unwrap().1, report.arena_reserved_bytes);
    run(20);
    let larger = of(&reports.next(), "tensors").unwrap();
    assert_eq!((larger.0, larger.1), (2, 320));
    run(5);
    assert_eq!(of(&reports.next(), "tensors"), Some(larger), "buffers are kept");

    worker.free(memory).unwrap();
    assert_eq!(of(&reports.next(), "user"), Some((0, 0, 1000)));
    let smaller = worker.allocate(10).unwrap();
    assert_eq!(of(&reports.next(), "user"), Some((1, 10, 1000)));
    worker.free(smaller).unwrap();
    worker.unregister(&handle).unwrap();
    let report = reports.next();
    assert_eq!(of(&report, "tensors"), None);
    assert_eq!(of(&report, "orchestrations"), Some((0, 0, image_bytes)));
    assert_eq!(of(&report, "kernels"), Some((0, 0, kernel_bytes)));
    let (_, code, code_high_water) = of(&report, "code").unwrap();
    assert!(code == 0 && code_high_water > 0);
    assert_eq!(report.bytes, report.arena_reserved_bytes);
}

#[test]
fn the_report_can_be_had_during_a_run_and_is_json_by_serde() {
    let worker = open();
    let handle = register(&worker, "adds");
    let held = Held::new(&worker);
    let queued = worker.submit(&handle, sum(&[0; 8].into(), 6), &config()).unwrap();
    until(|| worker.memory_report().queue.runs == 2);
    let report = worker.memory_report();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["queue"]["runs"], 2);
    assert_eq!(json["queue"]["bytes"], 2 * 3592 + 8 + 16);
    assert_eq!(json["queue"]["limit_bytes"], 1_u64 << 30);
    assert_eq!(json["bytes"], report.bytes);
    let holders = json["holders"].as_array().unwrap();
    let tensors = holders.iter().find(|it| it["holder"] == "tensors").unwrap();
    assert_eq!(tensors["callable"], "waits_for_flag");
    assert_eq!(tensors["callable_id"], held.handle.id().raw());
    assert!(holders.iter().any(|it| it["holder"] == "code" && it["callable_id"].is_null()));
    held.release();
    queued.wait().unwrap();
}

#[test]
fn where_there_is_no_device_nothing_is_held() {
    let config = WorkerConfig::default().with_device_start(DeviceStart::AtFirstUse);
    let worker = Worker::open(config).unwrap();
    let report = worker.memory_report();
    assert_eq!((report.bytes, report.holders.len()), (0, 0));
    assert_eq!(report.queue.limit_bytes, 1 << 30);
    worker.allocate(10).unwrap();
    assert_eq!(worker.memory_report().bytes, 10);
}

/// What lies around an allocation is mostly images, kernels and buffers of callables.
#[test]
fn what_belongs_to_callables_is_neither_read_nor_written_nor_passed_on() {
    const AROUND: u64 = 1 << 20;
    const STEP: u64 = 64;
    let worker = open();
    let before = worker.allocate(64).unwrap();
    let notes = register(&worker, "notes");
    let after = worker.allocate(64).unwrap();
    let own = |at: u64| [before, after].iter().any(|it| (it.raw()..it.raw() + 64).contains(&at));
    for start in [before.raw(), after.raw()] {
        for at in (start - AROUND..start + AROUND).step_by(STEP as usize).filter(|at| !own(*at)) {
            let address = DeviceAddr::new(at);
            assert_out_of_range(worker.copy_in(address, &[9; 8]), at, 8);
            assert_out_of_range(worker.copy_out(&mut [9; 8], address), at, 8);
        }
    }
    let mut report = worker.memory_report();
    report.holders.retain(|it| it.holder != "user");
    assert!(report.holders.iter().any(|it| it.holder == "kernels" && it.bytes > 0), "{report:?}");
    worker.unregister(&notes).unwrap();
}
