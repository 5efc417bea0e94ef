//! Constructors and destructors that crash, or do not return.

use std::time::{Duration, Instant};

use host_runner::callable::Callable;
use host_runner::device::{CrashedIn, DeviceLost, KernelError, LostCause};
use host_runner::worker::{PlatformName, RegisterError, UnregisterError, Worker, WorkerConfig};
use protocol::CoreType;
use tests::child;
use tests::device_program::{build, children, open_process};
use tests::sources;
use tests::workers::{assert_works, threads, with_causes};

use crate::setting::*;

#[test]
fn a_constructor_that_crashes_fails_the_registration_and_nothing_else() {
    let worker = open_process(PlatformName::A2a3Proc);
    let sound = worker.register(&callable("crashes")).unwrap();
    let image = sources::orchestration("constructor_crashes");
    let bad = sources::packed(Callable::builder(image).name("bad"), Vec::new());
    let error = worker.register(&bad).unwrap_err();
    let text = with_causes(&error);
    for part in ["`bad`", "SIGSEGV at 0x0", "constructor or destructor of the orchestration"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7);
    let kernels = vec![sources::kernel(0, CoreType::Aiv, "constructor_crashes")];
    let error = worker.register(&sources::callable("graphs", "fork_join", kernels)).unwrap_err();
    let RegisterError::Kernel { source: KernelError::Lost(lost), .. } = &error else {
        panic!("{error:?}")
    };
    let crash = crash(lost);
    assert_eq!((crash.signal, &crash.inside), (libc_signal::ABRT, &CrashedIn::LoadingKernel));
    assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7);
}

#[test]
fn a_destructor_that_crashes_is_told_by_the_unregistration() {
    let worker = open_process(PlatformName::A2a3Proc);
    let sound = worker.register(&callable("crashes")).unwrap();
    let unregistered = |callable: &Callable| {
        let handle = worker.register(callable).unwrap();
        let error = worker.unregister(&handle).unwrap_err();
        assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7, "{error}");
        let again = worker.unregister(&handle);
        assert!(matches!(again, Err(UnregisterError::StaleCallable(_))), "{again:?}");
        match error {
            UnregisterError::DeviceLost(lost) => (handle.id(), lost),
            other => panic!("{other:?}"),
        }
    };
    let image = sources::orchestration("destructor_crashes");
    let (callable, lost) = unregistered(&sources::packed(Callable::builder(image), Vec::new()));
    let its = crash(&lost);
    assert_eq!((its.signal, &its.inside), (libc_signal::SEGV, &CrashedIn::Loading { callable }));
    assert!(names(its).iter().any(|name| name.contains("write_null")), "{lost}");
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "destructor_crashes"));
    let (_, lost) = unregistered(&sources::callable("graphs", "fork_join", kernels));
    let its = crash(&lost);
    assert_eq!((its.signal, &its.inside), (libc_signal::ABRT, &CrashedIn::LoadingKernel));
    assert!(names(its).iter().any(|name| name.contains("give_up")), "{lost}");
    assert_eq!(worker.losses(), 2);
    assert_works(&worker, &threads(2));
}

#[test]
fn a_kernel_whose_constructor_or_destructor_does_not_return_costs_its_process_and_no_later_load() {
    let test = "loading::\
        a_kernel_whose_constructor_or_destructor_does_not_return_costs_its_process_and_no_later_load";
    build();
    child::alone(test, || {
        let limit = Duration::from_millis(200);
        let config = WorkerConfig::new(PlatformName::A2a3Proc).with_unload_limit(limit);
        let worker = Worker::open(config).unwrap();
        let sound = worker.register(&callable("crashes")).unwrap();
        let stuck = |kernel| {
            let mut kernels = sources::cell_kernels();
            kernels.push(sources::kernel(6, CoreType::Aiv, kernel));
            sources::callable("graphs", "fork_join", kernels)
        };
        let never_loaded = || match worker.register(&stuck("never_loaded")).unwrap_err() {
            RegisterError::Kernel { source: KernelError::Lost(lost), .. } => lost,
            other => panic!("{other:?}"),
        };
        let never_unloaded = || {
            let handle = worker.register(&stuck("never_unloaded")).unwrap();
            match worker.unregister(&handle).unwrap_err() {
                UnregisterError::DeviceLost(lost) => lost,
                other => panic!("{other:?}"),
            }
        };
        let drills: [(&str, &dyn Fn() -> DeviceLost); 2] = [
            ("a constructor of a kernel", &never_loaded),
            ("a destructor of a kernel", &never_unloaded),
        ];
        for (what, drill) in drills {
            for round in 1..=2 {
                let (start, process, before) = (Instant::now(), only_child(), worker.losses());
                let lost = drill();
                assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
                assert_eq!(lost.cause, LostCause::NotEnded { what, limit }, "round {round}");
                assert!(lost.to_string().contains("endless loop"), "{lost}");
                assert!(!children().contains(&process), "nothing of it goes on");
                assert_eq!(worker.losses(), before + 1);
                // Kernels that were not there before can be loaded.
                assert_works(&worker, &threads(2));
                assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7);
            }
        }
    });
}

#[test]
fn a_run_that_ends_with_a_load_that_hangs_is_told_of_that_load() {
    let limit = Duration::from_millis(300);
    build();
    let config = WorkerConfig::new(PlatformName::A2a3Proc).with_unload_limit(limit);
    let worker = Worker::open(config).unwrap();
    let endless = worker.register(&callable("crashes")).unwrap();
    let kernels = vec![sources::kernel(0, CoreType::Aiv, "never_loaded")];
    let stuck = sources::callable("graphs", "fork_join", kernels);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| lost(run(&worker, &endless, ENDLESS, &threads(2))));
        std::thread::sleep(Duration::from_millis(300));
        let error = worker.register(&stuck).unwrap_err();
        let RegisterError::Kernel { source: KernelError::Lost(of_load), .. } = &error else {
            panic!("{error:?}")
        };
        let what = "a constructor of a kernel";
        assert_eq!(of_load.cause, LostCause::NotEnded { what, limit });
        let of_run = running.join().unwrap();
        assert_eq!(of_run.cause, of_load.cause, "not a signal from outside");
    });
    assert_eq!(worker.losses(), 1);
    assert_eq!(run(&worker, &endless, SOUND, &threads(2)).unwrap(), 7);
}

#[test]
fn a_load_goes_on_on_a_fresh_device_where_a_run_crashes_meanwhile() {
    let worker = open_process(PlatformName::A2a3Proc);
    let crashing = worker.register(&callable("crashes")).unwrap();
    let kernels = vec![sources::kernel(0, CoreType::Aiv, "loads_slowly")];
    let slow_kernel = sources::callable("graphs", "fork_join", kernels);
    let image = sources::orchestration("loads_slowly");
    let slow_orchestration = sources::packed(Callable::builder(image), Vec::new());
    for (losses, slow) in [(1, slow_kernel), (2, slow_orchestration)] {
        std::thread::scope(|scope| {
            let loading = scope.spawn(|| worker.register(&slow));
            std::thread::sleep(Duration::from_millis(400));
            let lost = lost(run(&worker, &crashing, ABORT, &threads(2)));
            let callable = crashing.id();
            assert_eq!(crash(&lost).inside, CrashedIn::Orchestration { callable });
            let handle = loading.join().unwrap().unwrap();
            worker.unregister(&handle).unwrap();
        });
        assert_eq!(worker.losses(), losses);
    }
}
