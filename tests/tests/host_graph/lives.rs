//! The life of an orchestration in this process: its destructors run once, when it is unregistered or its
//! worker is dropped, whoever still has a handle; and one that does not return is told.

use std::time::{Duration, Instant};

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::device::DeviceUsage;
use host_runner::host_orchestration::NotClosed;
use host_runner::run::RunError;
use host_runner::worker::{PlatformName, RegisterError, UnregisterError, Worker, WorkerConfig};
use protocol::CoreType;
use tests::child;
use tests::life::{Life, go_on, wait_here};
use tests::sources;
use tests::spied_device::open_worker;
use tests::workers::{open_on, with_causes};

use super::setting::config;

#[test]
fn a_worker_that_is_dropped_closes_what_handles_calls_and_recordings_still_name() {
    for platform in PlatformName::SIMULATORS {
        let (worker, lives) = (open_on(*platform), [Life::new(), Life::new(), Life::new()]);
        let register = |life: &Life| worker.register(&life.on_host(platform.chip())).unwrap();
        let handles = lives.each_ref().map(register);
        let mut bound = worker.bind(&handles[0], OwnedArguments::new(), &config()).unwrap();
        let recorded = worker.record(&handles[1], &mut Arguments::new(), &config());
        let (recording, _) = recorded.unwrap();
        worker.unregister(&handles[2]).unwrap();
        assert_eq!(lives.each_ref().map(Life::counts), [[1, 0, 0], [1, 1, 0], [1, 0, 1]]);
        drop(worker);
        assert_eq!(lives.each_ref().map(Life::counts), [[1, 0, 1], [1, 1, 1], [1, 0, 1]]);
        assert!(
            bound.run().is_err() && recording.rebuild(&mut Arguments::new(), &config()).is_err()
        );
        drop((bound, recording, handles));
        assert_eq!(lives.each_ref().map(Life::counts), [[1, 0, 1], [1, 1, 1], [1, 0, 1]]);
    }
}

#[test]
fn a_device_that_is_lost_while_its_worker_is_dropped_does_not_keep_orchestrations_open() {
    let (worker, opened) = open_worker();
    let on_device = Life::new();
    let _on_device = worker.register(&on_device.callable()).unwrap();
    let lives = [Life::new(), Life::new()];
    let chip = worker.platform().chip();
    let _handles = lives.each_ref().map(|life| worker.register(&life.on_host(chip)).unwrap());
    opened.lock().unwrap()[0].hang_unloading();
    drop(worker);
    assert_eq!(lives.each_ref().map(Life::counts), [[1, 0, 1]; 2]);
}

#[test]
fn no_code_of_an_orchestration_runs_before_all_kernels_are_there() {
    for platform in PlatformName::SIMULATORS {
        let (worker, life, chip) = (open_on(*platform), Life::new(), platform.chip());
        let kernels = ["add", "no_entry"];
        let kernel = |(name, id)| sources::kernel_for(chip, id, CoreType::Aiv, name);
        let callable = life.on_host_with(chip, kernels.into_iter().zip(0..).map(kernel).collect());
        let refused = worker.register(&callable).unwrap_err();
        assert!(matches!(refused, RegisterError::Kernel { .. }), "{refused:?}");
        assert_eq!((life.counts(), worker.usage()), ([0, 0, 0], DeviceUsage::default()));
    }
}

/// Alone, as the system's loader opens nothing in a process in which destructors run.
#[test]
fn a_destructor_that_does_not_return_is_told_and_what_is_opened_meanwhile_hears_of_it() {
    const TEST: &str =
        "lives::a_destructor_that_does_not_return_is_told_and_what_is_opened_meanwhile_hears_of_it";
    child::alone(TEST, || {
        let limit = Duration::from_millis(500);
        for platform in PlatformName::SIMULATORS {
            let settings = WorkerConfig::new(*platform).with_unload_limit(limit);
            let (worker, [life, other]) =
                (Worker::open(settings).unwrap(), [Life::new(), Life::new()]);
            let register = |life: &Life| worker.register(&life.on_host(platform.chip()));
            let handle = register(&life).unwrap();
            // Compiled before, so that what follows is opened only.
            let callable = other.on_host(platform.chip());
            wait_here(&life.steps().hold_destructor);
            let start = Instant::now();
            let error = worker.unregister(&handle).unwrap_err();
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
            let (name, source) = ("life".to_owned(), NotClosed::NotReturned { limit });
            assert_eq!(error, UnregisterError::HostOrchestration { name, source });
            assert!(with_causes(&error).contains("endless loop"), "{}", with_causes(&error));
            // It is unregistered all the same, and no device is lost.
            let again = worker.unregister(&handle);
            assert!(matches!(again, Err(UnregisterError::StaleCallable(_))), "{again:?}");
            let stale = worker.run(&handle, &mut Arguments::new(), &config());
            assert!(matches!(stale, Err(RunError::StaleCallable(_))), "{stale:?}");
            assert_eq!((life.counts(), worker.losses()), ([1, 0, 1], 0));
            let refused = worker.register(&callable).unwrap_err();
            assert!(matches!(refused, RegisterError::HostOrchestration { .. }), "{refused:?}");
            let text = with_causes(&refused);
            assert!(text.contains("destructors of an object that was closed before"), "{text}");
            go_on(&life.steps().hold_destructor);
            worker.register(&callable).unwrap();
        }
    });
}
