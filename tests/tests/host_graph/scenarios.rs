//! The reference's system tests of prepared callables for this runtime, by their letters in spec
//! callable §6.3, with exact counters.

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::device::DeviceUsage;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, RegisterError, UnregisterError, Worker};
use protocol::CallableId;
use tests::prepared::reference_graph;
use tests::workers::{open_on, threads};

/// What the reference runs on a chip.
struct Variant {
    platform: PlatformName,
    tasks: u64,
    golden: f32,
}

const VARIANTS: [Variant; 2] = [
    // (a + b + 1)(a + b + 2)
    Variant { platform: PlatformName::A2a3Sim, tasks: 4, golden: 42.0 },
    // a + b + 1
    Variant { platform: PlatformName::A5Sim, tasks: 2, golden: 6.0 },
];

impl Variant {
    fn callable(&self) -> Callable {
        reference_graph(self.platform)
    }

    /// Runs it on a = 2 and b = 3, with 3 AICPU threads and 3 clusters.
    #[track_caller]
    fn assert_golden(&self, worker: &Worker, handle: &CallableHandle) {
        let (a, b) = (vec![2.0_f32; 128 * 128], vec![3.0_f32; 128 * 128]);
        let mut f = vec![0.0_f32; 128 * 128];
        let mut arguments = Arguments::new();
        arguments.push_input(&a, &[128, 128]).unwrap();
        arguments.push_input(&b, &[128, 128]).unwrap();
        arguments.push_output(&mut f, &[128, 128]).unwrap();
        let config = RunConfig { block_dim: 3, ..threads(3) };
        let report = worker.run(handle, &mut arguments, &config).unwrap();
        assert_eq!(report.tasks, self.tasks);
        assert!(f.iter().all(|element| (element - self.golden).abs() <= 1e-5), "{}", f[0]);
    }
}

/// Does a scenario for each of them, with a worker of its own.
fn for_each(scenario: impl Fn(&Worker, &Variant)) {
    for variant in &VARIANTS {
        scenario(&open_on(variant.platform), variant);
    }
}

fn id(index: i64) -> CallableId {
    CallableId::new(index).unwrap()
}

/// `host_dlopen_count`; nothing is loaded on the device.
#[track_caller]
fn dlopen_count(worker: &Worker) -> u64 {
    let counters = worker.counters();
    assert_eq!((counters.aicpu_dlopen_count, counters.loads), (0, 0));
    counters.host_dlopen_count
}

#[test]
fn base_two_ids_of_one_callable_run_and_are_taken_away() {
    for_each(|worker, variant| {
        let callable = variant.callable();
        let handles = [0, 1].map(|index| worker.register_as(id(index), &callable).unwrap());
        assert_eq!(handles.each_ref().map(|handle| handle.id().index()), [0, 1]);
        assert_eq!(dlopen_count(worker), 2);
        for handle in [&handles[0], &handles[0], &handles[1]] {
            variant.assert_golden(worker, handle);
        }
        for handle in &handles {
            worker.unregister(handle).unwrap();
        }
        let counters = worker.counters();
        assert_eq!((counters.registrations, counters.unregistrations, counters.runs), (2, 2, 3));
        assert_eq!(dlopen_count(worker), 2);
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

#[test]
fn a_five_runs_of_one_id_open_once() {
    for_each(|worker, variant| {
        let before = dlopen_count(worker);
        let handle = worker.register(&variant.callable()).unwrap();
        for _ in 0..5 {
            variant.assert_golden(worker, &handle);
            assert_eq!(dlopen_count(worker) - before, 1);
        }
        assert_eq!(worker.counters().runs, 5);
    });
}

#[test]
fn b_five_rounds_of_two_ids_open_twice() {
    for_each(|worker, variant| {
        let callable = variant.callable();
        let before = dlopen_count(worker);
        let handles = [(); 2].map(|()| worker.register(&callable).unwrap());
        for _ in 0..5 {
            handles.iter().for_each(|handle| variant.assert_golden(worker, handle));
            assert_eq!(dlopen_count(worker) - before, 2);
        }
        assert_eq!(worker.counters().runs, 10);
    });
}

#[test]
fn c_preparing_an_id_twice_is_refused_and_the_first_stays() {
    for_each(|worker, variant| {
        let callable = variant.callable();
        let first = worker.register_as(id(0), &callable).unwrap();
        variant.assert_golden(worker, &first);
        let (usage, counters) = (worker.usage(), worker.counters());
        for _ in 0..3 {
            match worker.register_as(id(0), &callable) {
                Err(RegisterError::IdInUse { id, name: Some(name) }) => {
                    assert_eq!((id.index(), name.as_str()), (0, callable.name()));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((worker.usage(), worker.counters()), (usage, counters));
        variant.assert_golden(worker, &first);
        worker.unregister(&first).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

#[test]
fn d_an_id_that_is_prepared_again_opens_again() {
    for_each(|worker, variant| {
        let callable = variant.callable();
        let first = worker.register_as(id(0), &callable).unwrap();
        variant.assert_golden(worker, &first);
        assert_eq!(dlopen_count(worker), 1);
        worker.unregister(&first).unwrap();
        assert_eq!(dlopen_count(worker), 1);
        let second = worker.register_as(id(0), &callable).unwrap();
        assert_eq!(second.id(), first.id());
        variant.assert_golden(worker, &second);
        assert_eq!(dlopen_count(worker), 2);
        let stale = worker.run(&first, &mut Arguments::new(), &threads(3));
        assert!(matches!(stale, Err(RunError::StaleCallable(_))), "{stale:?}");
        assert!(matches!(worker.unregister(&first), Err(UnregisterError::StaleCallable(_))));
        variant.assert_golden(worker, &second);
    });
}

/// As for the other runtime: one of two ids goes, and the other one is as before.
#[test]
fn e_one_of_two_ids_of_a_callable_goes_and_the_other_still_runs() {
    for_each(|worker, variant| {
        let callable = variant.callable();
        let [first, second] = [(); 2].map(|()| worker.register(&callable).unwrap());
        variant.assert_golden(worker, &first);
        variant.assert_golden(worker, &second);
        worker.unregister(&first).unwrap();
        variant.assert_golden(worker, &second);
        assert_eq!(dlopen_count(worker), 2);
    });
}
