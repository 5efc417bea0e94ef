//! Programs that are ended: from outside, by their host, and with it.

use std::time::{Duration, Instant};

use host_runner::device::process::{DeviceSettings, ProcessDevice};
use host_runner::device::{Device as _, Holder, LostCause, MemoryError};
use host_runner::worker::{PlatformName, WorkerConfig};
use protocol::{A2a3, FuncId};
use tests::child;
use tests::device_program::{build, children, open_process};
use tests::process::Holdings;
use tests::workers::threads;

use crate::setting::*;

#[test]
fn what_does_not_return_is_named_as_in_the_simulator_and_its_process_is_ended() {
    let test = "ends::what_does_not_return_is_named_as_in_the_simulator_and_its_process_is_ended";
    build();
    child::alone(test, || {
        let worker = open_process(PlatformName::A2a3Proc);
        let entry = worker.register(&callable("crashes")).unwrap();
        let kernel = worker.register(&callable("kernel_crashes")).unwrap();
        for (handle, good) in [(&entry, 7), (&kernel, 8)] {
            let (start, process) = (Instant::now(), only_child());
            let lost = lost(run(&worker, handle, ENDLESS, &short()));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            match lost.cause {
                LostCause::Orchestration => assert_eq!(good, 7, "{lost}"),
                LostCause::Kernel { func_id, .. } => {
                    assert_eq!((good, func_id), (8, FuncId::new(6).ok()), "{lost}");
                }
                _ => panic!("{lost}"),
            }
            assert!(lost.to_string().contains("endless loop"), "{lost}");
            assert!(!children().contains(&process), "nothing of it goes on");
            assert_eq!(run(&worker, handle, SOUND, &threads(3)).unwrap(), good);
        }
    });
}

#[test]
fn a_program_that_is_killed_while_it_idles_is_replaced_and_one_in_a_run_is_an_error() {
    let test =
        "ends::a_program_that_is_killed_while_it_idles_is_replaced_and_one_in_a_run_is_an_error";
    build();
    child::alone(test, || {
        let worker = open_process(PlatformName::A2a3Proc);
        let handle = worker.register(&callable("crashes")).unwrap();
        kill_idle();
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
        assert_eq!(worker.losses(), 1);
        let process = only_child();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                kill(process);
            });
            let start = Instant::now();
            let lost = lost(run(&worker, &handle, ENDLESS, &threads(2)));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            assert_eq!(lost.cause, LostCause::Ended { how: "SIGKILL".to_owned() });
        });
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
    });
}

#[test]
fn nothing_stays_of_devices_that_were_closed_or_lost() {
    let test = "ends::nothing_stays_of_devices_that_were_closed_or_lost";
    build();
    child::alone(test, || {
        let life = || {
            let worker = open_process(PlatformName::A2a3Proc);
            let handle = worker.register(&callable("kernel_crashes")).unwrap();
            lost(run(&worker, &handle, ABORT, &threads(2)));
            assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 8);
        };
        life();
        let before = Holdings::now();
        for _ in 0..5 {
            life();
        }
        let after = Holdings::now();
        assert!(children().is_empty(), "no process stays, and no zombie");
        assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
        assert!(after.mappings <= before.mappings + 4, "{before:?} {after:?}");
    });
}

#[test]
fn the_program_ends_with_its_host() {
    let test = "ends::the_program_ends_with_its_host";
    if child::is_child(test) {
        let worker = open_process(PlatformName::A2a3Proc);
        println!("program {}", only_child());
        std::mem::forget(worker);
        // No destructor runs, as if it were killed.
        std::process::abort();
    }
    build();
    let output = child::command(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.lines().find_map(|line| line.split("program ").nth(1)).unwrap();
    let folder = format!("/proc/{}", number.trim());
    let start = Instant::now();
    while std::path::Path::new(&folder).exists() {
        assert!(start.elapsed() < BOUND, "{folder} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_is_killed_while_it_idles_is_replaced_whatever_is_asked_next() {
    let test = "ends::a_program_that_is_killed_while_it_idles_is_replaced_whatever_is_asked_next";
    build();
    child::alone(test, || {
        let worker = open_process(PlatformName::A2a3Proc);
        // Nothing is registered yet, so no run can find out.
        kill_idle();
        let handle = worker.register(&callable("crashes")).unwrap();
        assert_eq!(worker.losses(), 1);
        kill_idle();
        let address = worker.allocate(64).unwrap();
        assert_eq!(worker.losses(), 2);
        worker.copy_in(address, &[7; 64]).unwrap();
        let mut bytes = [0; 64];
        worker.copy_out(&mut bytes, address).unwrap();
        assert_eq!(bytes, [7; 64]);
        kill_idle();
        // What was on the device has gone with it; the first who asks finds another one.
        assert!(worker.copy_in(address, &[7; 64]).is_err());
        assert!(worker.free(address).is_err());
        let address = worker.allocate(64).unwrap();
        worker.free(address).unwrap();
        assert_eq!(worker.losses(), 3);
        kill_idle();
        worker.unregister(&handle).unwrap();
        let handle = worker.register(&callable("kernel_crashes")).unwrap();
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 8);
        assert_eq!(worker.losses(), 4);
    });
}

#[test]
fn what_was_pinned_on_a_device_that_has_ended_takes_nothing_any_more() {
    build();
    let settings = WorkerConfig::new(PlatformName::A2a3Proc).process;
    let device = ProcessDevice::<A2a3>::open(&settings, &DeviceSettings::default()).unwrap();
    let address = device.allocate(64, Holder::User).unwrap();
    let (pinned, epoch) = (device.pin(address).unwrap(), device.memory_epoch());
    pinned.copy_in(0, &[7; 64]).unwrap();
    assert!(!device.has_ended());
    kill(device.process_id().unwrap());
    let start = Instant::now();
    while !device.has_ended() {
        assert!(start.elapsed() < BOUND);
        std::thread::yield_now();
    }
    assert_ne!(device.memory_epoch(), epoch, "what was found before holds no more");
    assert_eq!(pinned.copy_in(0, &[7; 64]), Err(MemoryError::Gone));
    assert_eq!(pinned.copy_out(0, &mut [0; 64]), Err(MemoryError::Gone));
    assert_eq!(device.copy_in(address, &[7; 64]), Err(MemoryError::Gone));
    assert_eq!(device.allocate(64, Holder::User), Err(MemoryError::Gone));
}
