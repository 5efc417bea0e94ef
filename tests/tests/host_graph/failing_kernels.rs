//! Kernels of graphs that throw, hang or come late: the run ends with what happened and in which task,
//! the caller's memory is as it was, and the next run works.

use std::time::{Duration, Instant};

use host_runner::device::LostCause;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::PlatformName;
use protocol::StatusCode;
use tests::flag::Flag;
use tests::script::{AIV, At, Script, THROWS};
use tests::workers::{SENTINEL, assert_fault, assert_works, threads};

use super::setting::{BYTES, COUNT, HOST, Stand, config, diamond};

/// Settings with which everything here takes well under a second.
fn short(aicpu_threads: u32) -> RunConfig {
    RunConfig {
        stall_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        block_dim: 3,
        ..threads(aicpu_threads)
    }
}

/// No run here may take longer; the timeout of the run itself is 30 seconds.
const BOUND: Duration = Duration::from_secs(8);

/// A graph whose last task waits for a flag behind two others.
fn held(flag: &Flag) -> Script {
    let x = At::Memory(0, 0);
    Script::new()
        .malloc(0, BYTES)
        .copy(x, HOST, BYTES)
        .record(HOST, x, BYTES)
        .mix(x, x, x, 1, COUNT)
        .mix(x, x, x, 2, COUNT)
        .edge(0, 1)
        .hold(x, flag)
        .edge(1, 2)
}

/// What it leaves of zeros: 4 · 1 + 2, but for the first cell.
const AFTER_HELD: [u64; COUNT as usize] = [1, 6, 6, 6, 6, 6, 6, 6];

#[test]
fn an_exception_of_a_kernel_ends_the_run_with_its_text() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        for aicpu_threads in [1, 2, 4] {
            // Among others, that come before it, after it, and beside it.
            let script = diamond(5).task(THROWS, AIV, &[]).edge(0, 3).edge(3, 2);
            stand.assert_works(1);
            let usage = stand.worker.usage();
            let config = RunConfig { block_dim: 3, ..threads(aicpu_threads) };
            let mut cells = [SENTINEL; COUNT as usize];
            let played = script.run(&stand.worker, &stand.handle, &config, &mut cells);
            let parts = ["std::logic_error", "odd tile", "func_id 1"];
            assert_fault(played.result, StatusCode::KernelException, &parts);
            assert_eq!(stand.worker.usage(), usage);
            stand.assert_works(2);
        }
    }
}

#[test]
fn of_many_kernels_that_throw_the_run_ends_once() {
    let stand = Stand::open();
    let many = (0..50).fold(diamond(5), |script, _| script.task(THROWS, AIV, &[]));
    for round in 0..20 {
        let error = stand.refused(&many);
        assert!(error.to_string().contains("odd tile"), "round {round}: {error}");
    }
}

#[test]
fn a_kernel_that_does_not_return_costs_the_device_and_not_the_worker() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let opened = stand.worker.counters().host_dlopen_count;
        for aicpu_threads in [1, 3] {
            let flag = Flag::new();
            let start = Instant::now();
            let run = |config: &RunConfig| {
                let mut cells = [0; COUNT as usize];
                let played = held(&flag).run(&stand.worker, &stand.handle, config, &mut cells);
                played.result.map(|_| cells)
            };
            let error = run(&short(aicpu_threads)).unwrap_err();
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            let RunError::DeviceLost(lost) = &error else { panic!("{error:?}") };
            let LostCause::Kernel { func_id: Some(func_id), .. } = lost.cause else {
                panic!("{lost:?}")
            };
            assert_eq!(func_id.index(), 2);
            let fault = lost.fault.as_ref().unwrap();
            assert_eq!(fault.code, StatusCode::SchedulerTimeout.code());
            let text = error.to_string();
            for part in ["func_id 2", "no progress for 200 ms"] {
                assert!(text.contains(part), "{part:?} is missing in: {text}");
            }
            // A fresh device takes its place, and nothing is opened once more.
            stand.assert_works(3);
            flag.set();
            assert_eq!(run(&config()).unwrap(), AFTER_HELD);
            assert_eq!(stand.worker.counters().host_dlopen_count, opened);
        }
    }
}

#[test]
fn a_kernel_that_returns_late_is_a_stall_that_names_its_task() {
    let stand = Stand::open();
    for aicpu_threads in [1, 2, 4] {
        let flag = Flag::new();
        let late = RunConfig { grace: Duration::from_secs(20), ..short(aicpu_threads) };
        let mut cells = [SENTINEL; COUNT as usize];
        let played = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(600));
                flag.set();
            });
            held(&flag).run(&stand.worker, &stand.handle, &late, &mut cells)
        });
        let parts = ["no progress for 200 ms", "core ", "func_id 2", "task 2"];
        assert_fault(played.result, StatusCode::SchedulerTimeout, &parts);
        stand.assert_works(4);
        let mut cells = [0; COUNT as usize];
        stand.play(&held(&flag), &mut cells).result.unwrap();
        assert_eq!(cells, AFTER_HELD);
        assert_eq!(stand.worker.losses(), 0, "the device was kept");
    }
}

#[test]
fn after_a_graph_has_failed_the_other_runtime_works_too() {
    let stand = Stand::open();
    let throws = diamond(5).task(THROWS, AIV, &[]);
    for aicpu_threads in [1, 3] {
        stand.refused(&throws);
        assert_works(&stand.worker, &threads(aicpu_threads));
        stand.assert_works(1);
    }
}

#[test]
fn an_entry_that_takes_longer_than_the_run_may_is_an_error_when_it_returns() {
    let stand = Stand::open();
    stand.assert_works(1);
    // A hundred thousand calls take longer than a nanosecond.
    let script = (0..1000).fold(diamond(3), |script, _| script.count());
    let config = RunConfig { timeout: Duration::from_nanos(1), ..config() };
    let mut cells = [SENTINEL; COUNT as usize];
    let played = script.run(&stand.worker, &stand.handle, &config, &mut cells);
    let error = played.result.unwrap_err();
    assert!(matches!(error, RunError::EntryTooLong { .. }), "{error:?}");
    assert_eq!(stand.worker.losses(), 0);
    stand.assert_works(2);
}
