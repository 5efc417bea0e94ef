//! The system tests of the reference, by their letters in spec callable §6.3, with exact counters.

use host_runner::arguments::Arguments;
use host_runner::device::DeviceUsage;
use host_runner::run::RunError;
use host_runner::worker::{PlatformName, RegisterError, UnregisterError, Worker};
use protocol::CallableId;
use tests::workers::threads;

use tests::prepared::{assert_47, counted, on_both_chips, vector_add};

fn id(index: i64) -> CallableId {
    CallableId::new(index).unwrap()
}

/// `aicpu_dlopen_count`, which must be as high as what the device has done.
#[track_caller]
fn dlopen_count(worker: &Worker) -> u64 {
    let counters = worker.counters();
    assert_eq!(counters.host_dlopen_count, 0, "no orchestration runs on the host");
    counters.aicpu_dlopen_count
}

#[test]
fn base_two_ids_of_one_callable_run_and_are_taken_away() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let handles = [0, 1].map(|index| worker.register_as(id(index), &callable).unwrap());
        assert_eq!(handles.each_ref().map(|handle| handle.id().index()), [0, 1]);
        assert_eq!(counted(worker), (2, 2, 0, 0), "preparing counts nothing");
        for handle in [&handles[0], &handles[0], &handles[1]] {
            assert_47(worker, handle);
        }
        for handle in &handles {
            worker.unregister(handle).unwrap();
        }
        assert_eq!(counted(worker), (2, 2, 2, 3));
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

#[test]
fn a_five_runs_of_one_id_load_once() {
    on_both_chips(|worker, platform| {
        let handle = worker.register(&vector_add(platform)).unwrap();
        let before = dlopen_count(worker);
        for _ in 0..5 {
            assert_47(worker, &handle);
            assert_eq!(dlopen_count(worker) - before, 1);
        }
        assert_eq!(counted(worker), (1, 1, 1, 5));
    });
}

#[test]
fn b_five_rounds_of_two_ids_load_twice() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let handles = [(); 2].map(|()| worker.register(&callable).unwrap());
        let before = dlopen_count(worker);
        for _ in 0..5 {
            handles.iter().for_each(|handle| assert_47(worker, handle));
            assert_eq!(dlopen_count(worker) - before, 2);
        }
        assert_eq!(counted(worker), (2, 2, 2, 10));
    });
}

#[test]
fn c_preparing_an_id_twice_is_refused_and_the_first_stays() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let first = worker.register_as(id(0), &callable).unwrap();
        assert_47(worker, &first);
        let (usage, counters) = (worker.usage(), worker.counters());
        for _ in 0..3 {
            match worker.register_as(id(0), &callable) {
                Err(RegisterError::IdInUse { id, name: Some(name) }) => {
                    assert_eq!((id.index(), name.as_str()), (0, "vector_add"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((worker.usage(), worker.counters()), (usage, counters));
        assert_47(worker, &first);
        worker.unregister(&first).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

#[test]
fn d_an_id_that_is_prepared_again_loads_again() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let first = worker.register_as(id(0), &callable).unwrap();
        assert_47(worker, &first);
        assert_eq!(dlopen_count(worker), 1);
        worker.unregister(&first).unwrap();
        assert_eq!(dlopen_count(worker), 1);
        let second = worker.register_as(id(0), &callable).unwrap();
        assert_eq!(second.id(), first.id());
        assert_47(worker, &second);
        assert_eq!(dlopen_count(worker), 2);
        assert_eq!(counted(worker), (2, 2, 2, 2));
        let stale = worker.run(&first, &mut Arguments::new(), &threads(3));
        assert!(matches!(stale, Err(RunError::StaleCallable(_))), "{stale:?}");
        assert!(matches!(worker.unregister(&first), Err(UnregisterError::StaleCallable(_))));
        assert_47(worker, &second);
    });
}

#[test]
fn e_one_of_two_ids_of_a_callable_goes_and_the_other_still_runs() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let [first, second] = [(); 2].map(|()| worker.register(&callable).unwrap());
        assert_47(worker, &first);
        assert_47(worker, &second);
        worker.unregister(&first).unwrap();
        assert_47(worker, &second);
        assert_eq!(counted(worker), (2, 2, 2, 3));
    });
}

/// A later test of the reference: registering without the entry fails, and counts nothing.
#[test]
fn f_a_callable_without_its_entry_is_refused_and_not_counted() {
    for platform in PlatformName::SIMULATORS.iter().copied() {
        let worker = tests::workers::open_on(platform);
        let image = tests::sources::orchestration_for(platform.chip(), "graphs");
        let builder = host_runner::callable::Callable::builder(image).entry("no_such_entry");
        let callable = tests::sources::packed(builder, Vec::new());
        let refused = worker.register_as(id(0), &callable);
        assert!(matches!(refused, Err(RegisterError::Orchestration { .. })), "{refused:?}");
        assert_eq!(counted(&worker), (0, 0, 0, 0));
        let handle = worker.register_as(id(0), &vector_add(platform)).unwrap();
        assert_47(&worker, &handle);
    }
}
