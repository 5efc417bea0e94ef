//! Whatever fails, hangs, crashes or lies: a typed error, nothing is left, and the next try works.

use std::time::{Duration, Instant};

use host_runner::device::{DeviceLost, LostCause};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::PlatformName;
use protocol::StatusCode;
use tests::sources;
use tests::workers::{self, Cells};

use super::mock::{Installed, Plan, add, adding, alone, brief};
use super::working::error_chain;

/// A number that none of the functions returns.
const ANY: i32 = 4242;

/// What starts something on the AICPU.
const LAUNCH: &str = "rtAicpuKernelLaunchExWithArgs";

/// Everything that the backend calls on an a2a3 that goes well.
const FUNCTIONS: [&str; 17] = [
    "aclInit",
    "aclFinalize",
    "aclrtSetDevice",
    "aclrtResetDevice",
    "aclrtSetOpExecuteTimeOutV2",
    "aclrtSynchronizeStreamWithTimeout",
    "rtStreamCreate",
    "rtStreamDestroy",
    "rtMalloc",
    "rtFree",
    "rtMemcpy",
    LAUNCH,
    "rtRegisterAllKernel",
    "rtKernelLaunchWithHandleV2",
    "rtGetC2cCtrlAddr",
    "halMemCtl",
    "halGetDeviceInfoByBuff",
];

/// Those that the backend can do without.
const OPTIONAL: [&str; 2] = ["aclrtSetOpExecuteTimeOutV2", "halGetDeviceInfoByBuff"];

/// Those that only give something back, of which nobody is there to hear that it failed.
const GIVING_BACK: [&str; 4] = ["aclFinalize", "aclrtResetDevice", "rtStreamDestroy", "rtFree"];

/// Opens a worker, has it do everything once, closes it.
fn life(mock: &Installed) -> Result<(), Box<dyn std::error::Error>> {
    life_until(mock, || {})
}

/// The same, with something to do before the callable is given back.
fn life_until(
    mock: &Installed,
    before_the_end: impl FnOnce(),
) -> Result<(), Box<dyn std::error::Error>> {
    let worker = mock.open()?;
    let handle = worker.register(&adding(worker.platform()))?;
    let ended = add(&worker, &handle, 4, &brief(2));
    before_the_end();
    worker.unregister(&handle)?;
    drop(worker);
    Ok(ended?)
}

#[test]
fn whichever_call_fails_the_error_names_it_and_the_next_life_is_whole() {
    alone(
        "failures::whichever_call_fails_the_error_names_it_and_the_next_life_is_whole",
        PlatformName::A2a3,
        |mock| {
            let mut needed = Vec::new();
            life_until(mock, || needed.extend(FUNCTIONS.map(|name| mock.calls(name)))).unwrap();
            let counts = FUNCTIONS.map(|name| mock.calls(name));
            for ((name, count), needed) in FUNCTIONS.into_iter().zip(counts).zip(needed) {
                assert!(count > 0, "{name}");
                // Of many copies and allocations, every third one is as good as all.
                let step = if count > 12 { 3 } else { 1 };
                for nth in (1..=count).step_by(step) {
                    fail_once(mock, name, nth, needed);
                }
            }
            // What could not be given back is in the books.
            mock.forgive();
        },
    );
}

/// Has a life in which the `nth` call of a function fails: it ends with an error that names the function, breaks no
/// rule, and the next one goes well. Only of the first `needed` calls an error is certain: what is not unloaded at
/// the end stays loaded until its id is used again.
#[track_caller]
fn fail_once(mock: &Installed, name: &str, nth: u64, needed: u64) {
    let said = mock.violations();
    mock.plan(name, nth, Plan::Fail(ANY));
    let ended = life(mock);
    mock.unplan();
    let gives_back = GIVING_BACK.contains(&name);
    match &ended {
        Ok(()) => assert!(
            nth > needed || gives_back || OPTIONAL.contains(&name),
            "{name} {nth} of {needed} is swallowed"
        ),
        Err(error) => {
            let text = error_chain(error.as_ref());
            assert!(text.contains(name), "{name} {nth}: {text}");
        }
    }
    // What is not given back because that failed, the books show; nothing else.
    if !gives_back {
        assert_eq!(mock.violations(), said, "{name} {nth}");
    }
    life(mock).unwrap_or_else(|error| panic!("after {name} {nth}: {error}"));
}

#[test]
fn registers_of_an_a5_that_cannot_be_mapped_are_an_error_whichever_cores_they_are() {
    alone(
        "failures::registers_of_an_a5_that_cannot_be_mapped_are_an_error_whichever_cores_they_are",
        PlatformName::A5,
        |mock| {
            life(mock).unwrap();
            let count = mock.calls("halResMap");
            for nth in [1, count / 2, count] {
                fail_once(mock, "halResMap", nth, count);
            }
        },
    );
}

#[test]
fn a_device_that_cannot_be_reset_is_lost_to_what_it_hangs_in_and_nothing_of_it_is_used() {
    alone(
        "failures::a_device_that_cannot_be_reset_is_lost_to_what_it_hangs_in_and_nothing_of_it_is_used",
        PlatformName::A2a3,
        |mock| {
            let lost = after(mock, &soon(), |mock| {
                mock.plan(LAUNCH, 1, Plan::Hang);
                mock.plan("aclrtResetDeviceForce", 1, Plan::Fail(ANY));
            });
            let LostCause::NotEnded { what: "a run on the AICPU", .. } = &lost.cause else {
                panic!("{lost}")
            };
            // The mock goes on where a chip may not, and has what was left on the device in its books.
            let violations = mock.violations();
            let mut lines = violations.lines();
            assert!(
                lines.next().unwrap().contains("aclFinalize was called before"),
                "{violations}"
            );
            assert!(lines.all(|line| line.starts_with("aclrtResetDevice")), "{violations}");
            mock.forgive();
        },
    );
}

/// A limit that is over soon.
fn soon() -> RunConfig {
    RunConfig { timeout: Duration::from_millis(200), grace: Duration::from_millis(100), ..brief(2) }
}

/// A worker with a callable, for which the next launch goes as planned, so that the device is lost soon; then,
/// everything works again. Returns how it was lost.
fn after(mock: &Installed, config: &RunConfig, upset: impl FnOnce(&Installed)) -> DeviceLost {
    let start = Instant::now();
    let lost = after_a_while(mock, config, upset);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    lost
}

/// The same, where that takes as long as it takes.
fn after_a_while(
    mock: &Installed,
    config: &RunConfig,
    upset: impl FnOnce(&Installed),
) -> DeviceLost {
    let worker = mock.open().unwrap();
    let handle = worker.register(&adding(PlatformName::A2a3)).unwrap();
    add(&worker, &handle, 4, &brief(2)).unwrap();
    upset(mock);
    let ended = add(&worker, &handle, 4, config);
    let Err(RunError::DeviceLost(lost)) = ended else { panic!("{ended:?}") };
    mock.unplan();
    add(&worker, &handle, 4, &brief(2)).unwrap();
    assert_eq!(worker.losses(), 1);
    assert_eq!(mock.calls("aclrtResetDeviceForce"), 1);
    worker.unregister(&handle).unwrap();
    drop(worker);
    lost
}

#[test]
fn a_run_that_hangs_ends_at_its_limit_and_the_next_one_passes() {
    alone(
        "failures::a_run_that_hangs_ends_at_its_limit_and_the_next_one_passes",
        PlatformName::A2a3,
        |mock| drop(after(mock, &soon(), |mock| mock.plan(LAUNCH, 1, Plan::Hang))),
    );
}

#[test]
fn cores_that_never_start_end_with_the_run() {
    alone("failures::cores_that_never_start_end_with_the_run", PlatformName::A2a3, |mock| {
        after(mock, &soon(), |mock| mock.plan("rtKernelLaunchWithHandleV2", 1, Plan::Hang));
    });
}

#[test]
fn cores_that_never_start_lose_the_device_though_the_executor_has_given_them_up() {
    alone(
        "failures::cores_that_never_start_lose_the_device_though_the_executor_has_given_them_up",
        PlatformName::A2a3,
        |mock| {
            let hang = |mock: &Installed| mock.plan("rtKernelLaunchWithHandleV2", 1, Plan::Hang);
            let lost = after_a_while(mock, &brief(2), hang);
            let LostCause::NotEnded { what: "a run on the cores", limit } = &lost.cause else {
                panic!("{lost}")
            };
            assert!(
                *limit < brief(2).timeout,
                "{limit:?}, though the executor had ended long before"
            );
            let fault = lost.fault.expect("the executor has waited for the cores in vain");
            assert_eq!(fault.code, StatusCode::HandshakeTimeout.code());
        },
    );
}

#[test]
fn a_run_that_never_began_has_nothing_of_the_one_before_that_failed() {
    alone(
        "failures::a_run_that_never_began_has_nothing_of_the_one_before_that_failed",
        PlatformName::A2a3,
        |mock| {
            let worker = mock.open().unwrap();
            let kernels = sources::cell_kernels();
            let callable = sources::callable("hazards", "stale_producers", kernels);
            let handle = worker.register(&callable).unwrap();
            let ended = Cells::default().run(&worker, &handle, &brief(2));
            workers::assert_fault(ended, StatusCode::ArgCountMismatch, &["wants 1 arguments"]);
            mock.plan(LAUNCH, 1, Plan::Pretend);
            mock.plan("rtKernelLaunchWithHandleV2", 1, Plan::Pretend);
            let ended = Cells::default().run(&worker, &handle, &brief(2));
            let Err(RunError::DeviceLost(DeviceLost { cause: LostCause::Executor, fault: None })) =
                ended
            else {
                panic!("{ended:?}")
            };
            assert_eq!(mock.calls("aclrtResetDeviceForce"), 1);
            drop((handle, worker));
        },
    );
}

#[test]
fn a_launch_that_never_happened_is_noticed() {
    alone("failures::a_launch_that_never_happened_is_noticed", PlatformName::A2a3, |mock| {
        after(mock, &soon(), |mock| mock.plan(LAUNCH, 1, Plan::Pretend));
    });
}

#[test]
fn a_crash_of_the_chips_server_is_an_error_and_the_next_run_passes() {
    alone(
        "failures::a_crash_of_the_chips_server_is_an_error_and_the_next_run_passes",
        PlatformName::A2a3,
        |mock| drop(after(mock, &brief(2), Installed::kill)),
    );
}
