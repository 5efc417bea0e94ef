//! Cores that stay on between runs, and when they are switched off.

use super::*;

fn power_cycle(device: &SimDevice<A2a3>) -> u64 {
    device.parts.engine.pool().power_cycle().map_or(0, std::num::NonZeroU64::get)
}

/// Runs the callable so many times.
#[track_caller]
fn run_times(device: &SimDevice<A2a3>, counting: &Placed, launch: &Launch, times: i32) {
    let counter = AtomicI32::new(0);
    let address = counter.as_ptr().expose_provenance() as u64;
    for run in 1..=times {
        assert_eq!(counting.run(device, &[address], launch).unwrap().fault, None);
        assert_eq!(counter.load(Ordering::SeqCst), run);
    }
}

fn cores_stay_on(seed: Option<u64>) {
    let device = SimDevice::<A2a3>::open_with_seed(seed).unwrap();
    let counting = loaded(&device, &counting());
    let of = |clusters, aicpu_threads| Launch { clusters, aicpu_threads, ..launch() };
    assert_eq!(power_cycle(&device), 0);
    for (launch, cycle) in
        [(of(3, 1), 1), (of(3, 4), 1), (of(24, 4), 2), (of(24, 1), 2), (of(1, 2), 3), (of(3, 1), 4)]
    {
        run_times(&device, &counting, &launch, 5);
        assert_eq!(power_cycle(&device), cycle, "{launch:?}");
    }
}

#[test]
fn cores_stay_on_between_runs_on_as_many_clusters() {
    cores_stay_on(None);
    cores_stay_on(Some(7));
}

#[test]
fn after_a_fault_all_cores_are_switched_off() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let counting = loaded(&device, &counting());
    let throws = "extern \"C\" void kernel_entry(long *) { throw 7; }";
    let failing = callable(orchestration("store(0, 8, 1);"), vec![kernel(0, throws)]);
    let failing = Placed::new(&device, 1, &failing);
    failing.load(&device).unwrap();
    let launch = Launch { clusters: 2, aicpu_threads: 3, ..launch() };
    for round in 1..=4 {
        run_times(&device, &counting, &launch, 3);
        assert_eq!(power_cycle(&device), round);
        let fault = failing.run(&device, &[], &launch).unwrap().fault.unwrap();
        assert_eq!(StatusCode::from_code(fault.code), Some(StatusCode::KernelException));
        assert_eq!(power_cycle(&device), round);
    }
}
