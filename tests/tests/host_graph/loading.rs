//! Opening an orchestration in the host's process: each registration for itself, and one that fails
//! leaves nothing.

use std::collections::BTreeSet;
use std::fs;

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::device::DeviceUsage;
use host_runner::runtime_name::RuntimeName;
use host_runner::worker::{CallableHandle, PlatformName, RegisterError, Worker};
use protocol::ChipName;
use tests::child;
use tests::sources;
use tests::workers::{open_on, with_causes};

use super::setting::{Stand, config};

/// Which run this was of its load, and where that is counted.
#[track_caller]
fn counted_runs(worker: &Worker, handle: &CallableHandle) -> (u64, u64) {
    let mut said = [0_u64; 2];
    let mut arguments = Arguments::new();
    arguments.push_output(&mut said, &[2]).unwrap();
    let report = worker.run(handle, &mut arguments, &config()).unwrap();
    assert_eq!(report.tasks, 0);
    drop(arguments);
    (said[0], said[1])
}

fn counter(chip: ChipName) -> Callable {
    sources::host_callable_for(chip, "own_globals", "counts_runs", Vec::new())
}

#[test]
fn each_registration_of_the_same_bytes_has_its_own_globals() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let callable = counter(platform.chip());
        let [first, second] = [(); 2].map(|()| worker.register(&callable).unwrap());
        let (one, here) = counted_runs(&worker, &first);
        assert_eq!(counted_runs(&worker, &first), (2, here));
        let (other, there) = counted_runs(&worker, &second);
        assert_eq!((one, other), (1, 1));
        assert_ne!(here, there);
        assert_eq!(counted_runs(&worker, &first), (3, here));
        worker.unregister(&first).unwrap();
        assert_eq!(counted_runs(&worker, &second), (2, there));
        // Registered again, it begins anew.
        let again = worker.register(&callable).unwrap();
        assert_eq!(counted_runs(&worker, &again).0, 1);
        assert_eq!(counted_runs(&worker, &second), (3, there));
        assert_eq!(worker.counters().host_dlopen_count, 3);
        worker.unregister(&again).unwrap();
        worker.unregister(&second).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    }
}

/// What cannot be opened, and what is said of it.
fn broken(chip: ChipName) -> Vec<(Callable, &'static str)> {
    let image = || sources::host_orchestration_for(chip, "own_globals");
    let built = |image, entry: &str| {
        let builder = Callable::builder(image).entry(entry).runtime(RuntimeName::Hbg);
        sources::packed(builder, Vec::new())
    };
    let mut cut = image();
    cut.truncate(cut.len() / 2);
    vec![
        (built(image(), "no_such_entry"), "no_such_entry"),
        (built(cut, "counts_runs"), ""),
        (built(b"no object at all".repeat(20), "counts_runs"), ""),
        (
            built(sources::host_orchestration_for(chip, "throws_while_loading"), "never_called"),
            "no table of blocks",
        ),
        (
            built(sources::host_orchestration_for(chip, "missing_import"), "never_called"),
            "nobody_has_this",
        ),
    ]
}

#[test]
fn what_cannot_be_opened_is_refused_and_not_counted() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let (counters, usage) = (stand.worker.counters(), stand.worker.usage());
        for (callable, part) in broken(platform.chip()) {
            let error = stand.worker.register(&callable).unwrap_err();
            assert!(matches!(error, RegisterError::HostOrchestration { .. }), "{error:?}");
            let text = with_causes(&error);
            assert!(text.contains(part), "{part:?} is missing in: {text}");
            assert_eq!((stand.worker.counters(), stand.worker.usage()), (counters, usage));
        }
        // The id that they would have had is the next one's.
        let next = stand.worker.register(&counter(platform.chip())).unwrap();
        assert_eq!(next.id().index(), 1);
        stand.assert_works(1);
    }
}

/// An orchestration of one runtime is none of the other's, and nothing of it is called.
#[test]
fn an_image_of_the_other_runtime_does_not_become_one_of_this() {
    let stand = Stand::open();
    let image = sources::orchestration_for(stand.worker.platform().chip(), "graphs");
    let builder = Callable::builder(image).entry("fork_join").runtime(RuntimeName::Hbg);
    let callable = sources::packed(builder, Vec::new());
    match stand.worker.register(&callable) {
        Err(error) => assert!(!with_causes(&error).is_empty()),
        // What it imports is there for the host's loader, so that only a call would tell.
        Ok(handle) => stand.worker.unregister(&handle).unwrap(),
    }
    stand.assert_works(1);
}

/// Files and anonymous memory that this process has mapped to run code from.
fn mapped_code() -> BTreeSet<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("r-xp")).map(str::to_owned).collect()
}

#[test]
fn a_registration_that_fails_leaves_no_mapping() {
    const TEST: &str = "loading::a_registration_that_fails_leaves_no_mapping";
    if !child::is_child(TEST) {
        // Compiled once, here.
        PlatformName::SIMULATORS.iter().for_each(|platform| drop(broken(platform.chip())));
    }
    child::alone(TEST, || {
        for platform in PlatformName::SIMULATORS {
            let stand = Stand::open_on(*platform);
            let broken = broken(platform.chip());
            // The first time, the unwinder and the loader take what they keep.
            for (callable, _) in &broken {
                stand.worker.register(callable).unwrap_err();
            }
            stand.assert_works(1);
            let before = mapped_code();
            for _ in 0..20 {
                for (callable, _) in &broken {
                    stand.worker.register(callable).unwrap_err();
                }
                assert_eq!(mapped_code(), before);
            }
            // As does one that is registered, run and taken away.
            let handle = stand.worker.register(&counter(platform.chip())).unwrap();
            counted_runs(&stand.worker, &handle);
            assert_ne!(mapped_code(), before);
            stand.worker.unregister(&handle).unwrap();
            assert_eq!(mapped_code(), before);
        }
    });
}
