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

/// Everything that the backend calls on an a2a3.
const FUNCTIONS: [&str; 18] = [
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
    "aclrtResetDeviceForce",
];

/// Opens a worker, has it do everything once, closes it.
fn life(mock: &Installed) -> Result<(), Box<dyn std::error::Error>> {
    let worker = mock.open()?;
    let handle = worker.register(&adding(PlatformName::A2a3))?;
    let ended = add(&worker, &handle, 4, &brief(2));
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
            life(mock).unwrap();
            let counts = FUNCTIONS.map(|name| (name, mock.calls(name)));
            let mut failed = 0;
            for (name, count) in counts {
                // Of many copies and allocations, every third one is as good as all.
                let step = if count > 12 { 3 } else { 1 };
                for nth in (1..=count).step_by(step) {
                    let said = mock.violations();
                    mock.plan(name, nth, Plan::Fail(ANY));
                    let ended = life(mock);
                    mock.unplan();
                    let gives_back = matches!(
                        name,
                        "aclFinalize" | "aclrtResetDevice" | "rtStreamDestroy" | "rtFree"
                    );
                    if let Err(error) = &ended {
                        failed += 1;
                        let text = error_chain(error.as_ref());
                        assert!(text.contains(name), "{name} {nth}: {text}");
                    }
                    // What is not given back because that failed, the books show; nothing else.
                    if !gives_back {
                        assert_eq!(mock.violations(), said, "{name} {nth}");
                    }
                    life(mock).unwrap_or_else(|error| panic!("after {name} {nth}: {error}"));
                }
            }
            assert!(failed > 20, "{failed}");
            // What could not be given back is in the books.
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
            let LostCause::NotEnded { what: "a run on the cores", .. } = &lost.cause else {
                panic!("{lost}")
            };
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
