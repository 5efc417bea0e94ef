//! Crashes in entries and kernels: what is said of them, and the next run.

use std::time::Instant;

use host_runner::device::CrashedIn;
use host_runner::worker::PlatformName;
use protocol::FuncId;
use tests::device_program::open_process;
use tests::workers::threads;

use crate::setting::*;

#[test]
fn a_crash_in_an_entry_names_signal_address_and_functions_and_the_next_run_works() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("crashes")).unwrap();
    let drills = [
        (CALL_NULL, libc_signal::SEGV, Some(0), "call"),
        (WRITE_NULL, libc_signal::SEGV, Some(0), "write_null"),
        (ABORT, libc_signal::ABRT, None, "give_up"),
    ];
    for (way, signal, address, function) in drills {
        for aicpu_threads in [1, 3] {
            let start = Instant::now();
            let lost = lost(run(&worker, &handle, way, &threads(aicpu_threads)));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            let crash = crash(&lost);
            assert_eq!((crash.signal, crash.address), (signal, address), "{lost}");
            let callable = handle.id();
            assert_eq!(crash.inside, CrashedIn::Orchestration { callable }, "{lost}");
            let names = names(crash);
            assert!(names.iter().any(|name| name.contains(function)), "{function}: {lost}");
            if way != CALL_NULL {
                // The caller of one that calls null is all that can be told for sure.
                assert!(names.iter().any(|name| name.starts_with("crashes")), "{lost}");
            }
            assert_eq!(run(&worker, &handle, SOUND, &threads(aicpu_threads)).unwrap(), 7);
        }
    }
    assert_eq!(worker.losses(), 6);
}

#[test]
fn a_crash_in_a_kernel_names_its_func_id_and_core_and_the_next_run_works() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("kernel_crashes")).unwrap();
    for (way, signal, function) in
        [(CALL_NULL, libc_signal::SEGV, "call"), (ABORT, libc_signal::ABRT, "give_up")]
    {
        let lost = lost(run(&worker, &handle, way, &threads(3)));
        let crash = crash(&lost);
        assert_eq!(crash.signal, signal, "{lost}");
        let CrashedIn::Kernel { core, func_id } = crash.inside else { panic!("{lost}") };
        // With 24 clusters, cores 0 to 23 are cube cores.
        assert!((24..72).contains(&core), "{core}");
        assert_eq!(func_id, FuncId::new(6).ok(), "{lost}");
        assert!(names(crash).iter().any(|name| name.contains(function)), "{lost}");
        assert_eq!(run(&worker, &handle, SOUND, &threads(3)).unwrap(), 8);
    }
}

#[test]
fn a_stack_that_overflows_is_called_that() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handles =
        ["crashes", "kernel_crashes"].map(|entry| worker.register(&callable(entry)).unwrap());
    for handle in &handles {
        let lost = lost(run(&worker, handle, OVERFLOW_STACK, &threads(2)));
        let crash = crash(&lost);
        assert!(crash.is_stack_overflow && crash.signal == libc_signal::SEGV, "{lost}");
        let names = names(crash);
        assert!(names.iter().filter(|name| name.starts_with("descend")).count() > 1, "{lost}");
        assert!(run(&worker, handle, SOUND, &threads(2)).is_ok());
    }
}

#[test]
fn a_wild_pointer_is_not_taken_for_null() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("crashes")).unwrap();
    let lost = lost(run(&worker, &handle, WRITE_WILD, &threads(2)));
    let crash = crash(&lost);
    assert_eq!(crash.signal, libc_signal::SEGV, "{lost}");
    assert_ne!(crash.address, Some(0), "{lost}");
    if cfg!(target_arch = "x86_64") {
        // The processor does not tell addresses that are not canonical.
        assert_eq!(crash.address, None, "{lost}");
    }
    assert!(names(crash).iter().any(|name| name.contains("write_wild")), "{lost}");
    assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
}
