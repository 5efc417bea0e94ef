//! Waits that do not end, and conditions that make no sense.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_runner::run::RunConfig;
use host_runner::worker::PlatformName;
use protocol::{CompletionType, MAX_DEFERRED_CONDITIONS, StatusCode};
use tests::workers::{assert_works, threads};

use super::setting::{
    STRIDE, address, counters, fails, flood, on_every_chip, run, short, waiting, with_entry,
};

#[test]
fn a_counter_that_moves_for_ever_ends_with_the_time_limit_which_names_it() {
    on_every_chip("waits", |with, aicpu_threads| {
        let counters = counters(1);
        let is_over = AtomicBool::new(false);
        let timeout = Duration::from_millis(800);
        let config = RunConfig { timeout, ..short(aicpu_threads) };
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    counters[0].0.fetch_xor(1, Ordering::Release);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let ended = run(&with.0, &with.1, 1, &waiting(counters, 2, 1, 1), &config);
            is_over.store(true, Ordering::Relaxed);
            ended.unwrap_err().to_string()
        });
        for part in ["within its limit of 800 ms", "and must reach 2", "func_id 4"] {
            assert!(error.contains(part), "{part:?} is missing in: {error}");
        }
        assert_works(&with.0, &threads(aicpu_threads));
    });
}

#[test]
fn a_condition_that_never_holds_is_a_stall_that_says_which_one() {
    on_every_chip("waits", |with, aicpu_threads| {
        let counters = counters(2);
        counters[0].0.store(9, Ordering::Relaxed);
        counters[1].0.store(4, Ordering::Relaxed);
        let (second, start) =
            (format!("the counter at {:#x}", address(&counters[1..])), Instant::now());
        let parts = [
            "no progress for 400 ms",
            "1 sub-task waits for 1 deferred condition",
            "condition 1 (of 2, from 0) of the kernel of func_id 4 (task 0 of ring 0, block 0, core ",
            &second,
            "is 4 and must reach 9",
        ];
        let code = StatusCode::SchedulerTimeout;
        fails(with, &waiting(counters, 9, 2, 1), &short(aicpu_threads), code, &parts);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    });
}

/// With one thread it is the read that gives up.
#[test]
fn an_element_access_that_gives_up_says_which_condition_does_not_hold() {
    let parts =
        ["an element access waited", "no task made progress for 400 ms", "is 0 and must reach 5"];
    let scalars = [address(counters(1)), 5];
    let with = with_entry(PlatformName::A5Sim, "reads");
    fails(&with, &scalars, &short(1), StatusCode::TensorWaitTimeout, &parts);
}

#[test]
fn conditions_that_make_no_sense_end_the_run_by_name() {
    on_every_chip("waits", |with, aicpu_threads| {
        let good = address(counters(1));
        let invalid = StatusCode::AsyncCompletionInvalid;
        for (scalars, code, parts) in [
            ([0, STRIDE, 1, 1, 0, 1], invalid, ["its address is 0", "condition 0 (of 1"]),
            ([good, 2, 0, 2, 0, 1], invalid, ["no multiple of 4", "condition 1 (of 2"]),
            ([good, 0, 1, 1, 7, 1], invalid, ["type 7", "condition 0 (of 1"]),
            (
                // One condition more than the kernel's buffer holds: the headers notice.
                [good, 0, 1, 65, 0, 1],
                StatusCode::AsyncWaitOverflow,
                ["error 102 (ASYNC_WAIT_OVERFLOW)", "after 64 conditions"],
            ),
        ] {
            let parts = [&parts[..], &["func_id 4", "task 0 of ring 0", "core "]].concat();
            fails(with, &scalars, &threads(aicpu_threads), code, &parts);
        }
    });
}

#[test]
fn an_error_of_the_kernel_ends_the_run_with_its_code() {
    on_every_chip("wrong", |with, aicpu_threads| {
        for (scalars, code, part) in [
            ([101, 0], StatusCode::AsyncCompletionInvalid, "error 101 (ASYNC_COMPLETION_INVALID)"),
            ([103, 70], StatusCode::AsyncRegistrationFailed, "error 103"),
            ([0, 65], StatusCode::AsyncRegistrationFailed, "left 65 conditions; its buffer has 64"),
        ] {
            let parts = ["the kernel of func_id 9 (task 1 of ring 0", part];
            fails(with, &scalars, &threads(aicpu_threads), code, &parts);
        }
    });
}

#[test]
fn a_full_list_that_never_empties_is_an_overflow() {
    on_every_chip("waits", |with, aicpu_threads| {
        let mut scalars =
            waiting(counters(1), 1, MAX_DEFERRED_CONDITIONS as u64, flood(aicpu_threads));
        scalars[1] = 0;
        let parts = ["held back", "room for 4096 conditions", "must reach 1", "func_id 4"];
        let code = StatusCode::AsyncWaitOverflow;
        fails(with, &scalars, &short(aicpu_threads), code, &parts);
    });
}

#[test]
fn an_event_record_is_refused_on_the_chip_that_has_none() {
    let with = with_entry(PlatformName::A5Sim, "waits");
    let sdma = CompletionType::SdmaEventRecord as u64;
    for aicpu_threads in [1, 7] {
        let parts = ["a5 has COUNTER conditions only", "func_id 4"];
        let code = StatusCode::AsyncCompletionInvalid;
        let scalars = [address(counters(1)), 0, 1, 1, sdma, 1];
        fails(&with, &scalars, &threads(aicpu_threads), code, &parts);
    }
}

/// A device that fails does not end the other, which is told by its own stall timeout; both work
/// afterwards.
#[test]
fn a_device_whose_peer_never_comes_ends_by_its_stall_timeout() {
    let with = with_entry(PlatformName::A2a3Sim, "exchange");
    let memory = with.0.allocate(256).unwrap().raw();
    let scalars = [2, memory, memory + 64, memory + 128, memory + 192];
    for aicpu_threads in [1, 3] {
        let parts = [&format!("the counter at {memory:#x} is 0 and must reach 1"), "func_id 4"];
        let code = StatusCode::SchedulerTimeout;
        fails(&with, &scalars, &short(aicpu_threads), code, &parts);
    }
}
