//! The simulated device as a whole: either chip, residence, limits, loss.

use std::sync::atomic::AtomicI32;

use protocol::{A2a3, A5, StatusCode};

use super::*;
use crate::device::{RingConfig, Work};
use crate::test_callables::{callable, kernel, orchestration, store_kernel};
use placed::{Placed, int_at};

mod loading;
mod placed;
mod power;
mod report;
mod together;
mod unloading;

const RINGS: RingConfig = RingConfig { task_window: 16, heap_bytes: 1 << 16, dep_pool: 0 };

fn launch() -> Launch {
    Launch {
        clusters: 1,
        aicpu_threads: 1,
        work: Work::Orchestration(RINGS),
        stall_timeout: Duration::ZERO,
        timeout: Duration::from_secs(20),
        grace: Duration::from_secs(5),
    }
}

/// The callable under id 0, ready to be run.
fn loaded<C: Chip>(device: &SimDevice<C>, callable: &crate::callable::Callable) -> Placed {
    let placed = Placed::new(device, 0, callable);
    placed.load(device).unwrap();
    placed
}

fn runs_on_all_its_cores<C: Chip>(clusters: u32, threads: u32) {
    let device = SimDevice::<C>::open().unwrap();
    let facts = device.facts();
    assert_eq!((facts.clusters_max, facts.aicpu_threads_max), (clusters, threads));
    let launch = Launch { clusters, aicpu_threads: threads, ..launch() };
    let output = device.allocate(4, Holder::User).unwrap();
    let body = "store(0, args.scalars[0], args.scalars[1]);";
    let storing = callable(orchestration(body), vec![store_kernel(0, 1)]);
    let storing = loaded(&device, &storing);
    let outcome = storing.run(&device, &[output.raw(), 41], &launch).unwrap();
    assert_eq!((outcome.fault, int_at(&device, output)), (None, 42));
}

#[test]
fn either_chip_runs_on_all_its_cores_and_threads() {
    runs_on_all_its_cores::<A2a3>(24, 4);
    runs_on_all_its_cores::<A5>(36, 7);
}

/// A kernel that counts its runs in the cell at its first argument.
fn counting() -> crate::callable::Callable {
    let count = "extern \"C\" void kernel_entry(long *args) { \
                 __atomic_add_fetch(reinterpret_cast<int *>(args[0]), 1, __ATOMIC_SEQ_CST); }";
    let body = "store(0, args.scalars[0], 1);";
    callable(orchestration(body), vec![kernel(0, count)])
}

/// A launch starts more threads than a run has places; they come during the run and after it.
fn surplus_threads_change_nothing<C: Chip>() {
    let device = SimDevice::<C>::open().unwrap();
    let counting = loaded(&device, &counting());
    let counter = AtomicI32::new(0);
    let address = counter.as_ptr().expose_provenance() as u64;
    for run in 1..=60 {
        let places = 1 + run as usize % C::MAX_AICPU_THREADS;
        // CAST: a handful.
        let launch = Launch { aicpu_threads: places as u32, ..launch() };
        assert_eq!(counting.run(&device, &[address], &launch).unwrap().fault, None);
        assert_eq!(counter.load(Ordering::SeqCst), run);

        // As many as to fill the places of a run and more, with the record of the run that is over.
        let (engine, site) = (&device.parts.engine, device.site());
        let record = &*site.record;
        std::thread::scope(|scope| {
            let late = |_| scope.spawn(|| engine.executor().execute(record));
            let threads: Vec<_> = (0..C::LAUNCHED_AICPU_THREADS).map(late).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 0, "a surplus thread is no error");
            }
        });
        assert_eq!(counter.load(Ordering::SeqCst), run, "the run is not run again");
    }
}

#[test]
fn surplus_threads_that_come_late_change_nothing_on_either_chip() {
    surplus_threads_change_nothing::<A2a3>();
    surplus_threads_change_nothing::<A5>();
}

#[test]
fn surplus_threads_that_come_with_the_others_are_sent_away() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let counting = loaded(&device, &counting());
    let counter = AtomicI32::new(0);
    let launch = Launch { clusters: 2, aicpu_threads: 2, ..launch() };
    let address = counter.as_ptr().expose_provenance() as u64;
    assert_eq!(counting.run(&device, &[address], &launch).unwrap().fault, None);
    // What the device does for a run, with a launch of more threads than the run has places.
    for run in 2..=50 {
        let mut site = device.site();
        if !site.is_prepared_for(&launch) {
            site.prepare_anew(&launch).unwrap();
        }
        site.number_run();
        let record = &*site.record;
        let Parts { aicpu, engine, .. } = &*device.parts;
        // SAFETY: the record is not written until the threads are back.
        let order = unsafe {
            engine.set_record(&raw const *record);
            engine.pool().begin_run(record, 2);
            Order::Run(order::Pointer::new(&raw const *record))
        };
        aicpu.begin(order, A2a3::MAX_AICPU_THREADS);
        let outcome = device.finish(&launch).unwrap();
        assert_eq!((outcome.fault, outcome.tasks), (None, 1));
        assert_eq!(counter.load(Ordering::SeqCst), run);
    }
}

#[test]
fn launches_that_no_device_can_carry_out_are_refused() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let check = |launch: Launch, part: &str| {
        let text = device.run(&launch, &mut |_| {}).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    };
    check(Launch { clusters: 0, ..launch() }, "0 clusters");
    check(Launch { clusters: u32::MAX, ..launch() }, "1 to 24");
    check(Launch { aicpu_threads: 0, ..launch() }, "0 AICPU threads");
    check(Launch { aicpu_threads: 5, ..launch() }, "1 to 4");
    let rings = RingConfig { task_window: 12, ..RINGS };
    check(Launch { work: Work::Orchestration(rings), ..launch() }, "window of 12");
    let rings = RingConfig { heap_bytes: u64::MAX, ..RINGS };
    check(Launch { work: Work::Orchestration(rings), ..launch() }, "no device memory");
}

#[test]
fn a_run_without_a_callable_is_a_fault() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let outcome = device.run(&launch(), &mut |_| {}).unwrap();
    let fault = outcome.fault.unwrap();
    assert_eq!(StatusCode::from_code(fault.code), Some(StatusCode::CallableIdInvalid));
}

#[test]
fn a_lost_device_keeps_what_is_in_use_and_refuses_everything() {
    let endless = "#include <time.h>\nextern \"C\" void kernel_entry(long *) { \
                   for (;;) { timespec pause{0, 1000000}; nanosleep(&pause, nullptr); } }";
    let stuck = callable(orchestration("store(0, 8, 1);"), vec![kernel(0, endless)]);
    let device = SimDevice::<A2a3>::open().unwrap();
    let address = device.allocate(8, Holder::User).unwrap();
    let short = Duration::from_millis(200);
    let stuck = loaded(&device, &stuck);
    let lost = stuck.run(&device, &[], &Launch { timeout: short, grace: short, ..launch() });
    assert!(matches!(lost, Err(DeviceError::Lost(_))), "{lost:?}");

    assert!(matches!(device.run(&launch(), &mut |_| {}), Err(DeviceError::Gone)));
    assert_eq!(device.free(address), Err(MemoryError::Gone));
    assert_eq!(device.usage(), DeviceUsage::default());
    assert_eq!(device.memory_report(), DeviceMemoryReport::default());
    drop(device);
}
