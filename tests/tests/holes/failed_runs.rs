//! Runs that fail: what they say, what they leave, and what works afterwards (spec callable §7.1).

use std::thread;
use std::time::{Duration, Instant};

use host_runner::arguments::Arguments;
use host_runner::callable::{Callable, CallableBuilder, KernelImage};
use host_runner::device::DeviceError;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, RegisterError, Worker};
use protocol::{CallableId, ChipName, CoreType, StatusCode};
use tests::flag::Flag;
use tests::prepared::{on_both_chips, testimony, witness};
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_fault, assert_works, threads};

/// No run here may take longer; the limit of the runs themselves is 30 seconds.
const BOUND: Duration = Duration::from_secs(10);

fn kernels(chip: ChipName) -> Vec<KernelImage> {
    let mut kernels = sources::cell_kernels_for(chip);
    kernels.push(sources::kernel_for(chip, 5, CoreType::Aiv, "throws"));
    kernels.push(sources::kernel_for(chip, 6, CoreType::Aiv, "wait_for_flag"));
    kernels
}

fn faults(chip: ChipName, entry: &str) -> CallableBuilder {
    Callable::builder(sources::orchestration_for(chip, "faults")).name(entry).entry(entry)
}

/// Callables whose runs fail, each in another way and at another stage, and with what.
fn failing(chip: ChipName) -> Vec<(Callable, StatusCode)> {
    let good = || faults(chip, "spoils");
    let builders = [
        (good().config("expects_three"), StatusCode::ArgCountMismatch),
        (good().config("config_throws"), StatusCode::EntryException),
        (faults(chip, "fatal"), StatusCode::ExplicitFatal),
        (faults(chip, "throws_error"), StatusCode::EntryException),
        (faults(chip, "missing_kernel"), StatusCode::KernelMissing),
        (faults(chip, "kernel_throws"), StatusCode::KernelException),
        (faults(chip, "open_scopes"), StatusCode::InvalidArgs),
    ];
    builders.map(|(builder, code)| (sources::packed(builder, kernels(chip)), code)).into()
}

/// One cell and a scalar 0, which most of these callables do not look at.
fn one_cell() -> Cells {
    Cells { cells: vec![SENTINEL], ..Cells::default() }
}

#[track_caller]
fn assert_good(worker: &Worker, handle: &CallableHandle, config: &RunConfig) {
    let mut passed = one_cell();
    passed.run(worker, handle, config).unwrap();
    assert_eq!(passed.cells, [666]);
}

#[test]
fn h1_after_a_run_that_failed_in_any_way_its_id_and_others_go_on() {
    on_both_chips(|worker, platform| {
        let chip = platform.chip();
        let good = sources::packed(faults(chip, "spoils"), kernels(chip));
        let other = worker.register(&good).unwrap();
        for (callable, code) in failing(chip) {
            let handle = worker.register(&callable).unwrap();
            for aicpu_threads in [1, 3] {
                let start = Instant::now();
                for _ in 0..2 {
                    assert_fault(
                        one_cell().run(worker, &handle, &threads(aicpu_threads)),
                        code,
                        &[],
                    );
                    assert_good(worker, &other, &threads(aicpu_threads));
                }
                assert!(start.elapsed() < BOUND, "{code:?}: {:?}", start.elapsed());
            }
            worker.unregister(&handle).unwrap();
        }
        assert_eq!(worker.losses(), 0, "all of it on one device");
    });
}

#[test]
fn h2_an_id_whose_load_or_first_run_has_failed_works_the_next_time() {
    on_both_chips(|worker, platform| {
        let chip = platform.chip();
        let id = CallableId::new(9).unwrap();
        let throws = Callable::builder(sources::orchestration_for(chip, "constructor_throws"));
        let throws = sources::packed(throws.name("throws"), Vec::new());
        for _ in 0..2 {
            let before = worker.counters();
            match worker.register_as(id, &throws) {
                Err(RegisterError::Load { source: DeviceError::Load(_), .. }) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(worker.counters(), before, "nothing counts that was not acknowledged");
        }
        // The first run of the id fails; the next one needs neither unregistering nor a load.
        let handle = worker.register_as(id, &witness(chip, 1, "fill")).unwrap();
        let mut passed = Cells { scalars: vec![2], ..one_cell() };
        assert_fault(passed.run(worker, &handle, &threads(3)), StatusCode::EntryException, &[]);
        passed.scalars = vec![0];
        passed.run(worker, &handle, &threads(3)).unwrap();
        assert_eq!(passed.cells, [testimony(1, 2)]);
        let counters = worker.counters();
        assert_eq!((counters.loads, counters.aicpu_dlopen_count), (1, 1));
    });
}

#[test]
fn h7_a_run_in_which_nothing_moves_is_a_scheduler_timeout_and_no_success() {
    on_both_chips(|worker, platform| {
        let builder = faults(platform.chip(), "waits_for_flag");
        let handle = worker.register(&sources::packed(builder, kernels(platform.chip()))).unwrap();
        for aicpu_threads in [1, 3] {
            let flag = Flag::new();
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(400));
                    flag.set();
                });
                let mut passed = Cells { scalars: vec![flag.address()], ..one_cell() };
                let config = RunConfig {
                    stall_timeout: Duration::from_millis(100),
                    grace: Duration::from_secs(20),
                    ..threads(aicpu_threads)
                };
                let result = passed.run(worker, &handle, &config);
                let parts = ["no progress for 100 ms", "func_id 6"];
                assert_fault(result, StatusCode::SchedulerTimeout, &parts);
            });
        }
        assert_works(worker, &threads(3));
    });
}

#[test]
fn h8_a_failed_run_writes_to_no_output_whatever_the_device_holds() {
    on_both_chips(|worker, platform| {
        let chip = platform.chip();
        let builder = Callable::builder(sources::witness_for(chip, 1)).entry("first_entry");
        let handle = worker.register(&sources::packed(builder.name("witness"), {
            let throws = sources::kernel_for(chip, 1, CoreType::Aiv, "throws");
            vec![sources::kernel_for(chip, 0, CoreType::Aiv, "fill"), throws]
        }));
        let handle = handle.unwrap();
        let run = |cells: &mut [u64; 4], end: u64| {
            let mut arguments = Arguments::new();
            arguments.push_output(cells, &[4]).unwrap();
            arguments.push_scalar(end).unwrap();
            worker.run(&handle, &mut arguments, &threads(3))
        };
        // Before anything is in the buffer on the device, and with the output of a run in it.
        let mut number = 0;
        for _ in 0..2 {
            for (end, code) in [
                (1, StatusCode::ExplicitFatal),
                (2, StatusCode::EntryException),
                (3, StatusCode::KernelMissing),
                (4, StatusCode::KernelException),
            ] {
                let mut cells = [SENTINEL; 4];
                assert_fault(run(&mut cells, end), code, &[]);
                assert_eq!(cells, [SENTINEL; 4], "{code:?}");
                number += 1;
            }
            let mut cells = [SENTINEL; 4];
            run(&mut cells, 0).unwrap();
            number += 1;
            assert_eq!(cells[0], testimony(1, number));
        }
    });
}

#[test]
fn h8b_a_task_of_a_func_id_without_kernel_is_an_error_that_names_it() {
    on_both_chips(|worker, platform| {
        for (entry, named) in [("missing_kernel", "17"), ("impossible_kernel", "1024")] {
            let builder = faults(platform.chip(), entry);
            let callable = sources::packed(builder, kernels(platform.chip()));
            let handle = worker.register(&callable).unwrap();
            for aicpu_threads in [1, 3] {
                let result = one_cell().run(worker, &handle, &threads(aicpu_threads));
                assert_fault(result, StatusCode::KernelMissing, &[&format!("func_id {named}")]);
            }
        }
        assert_works(worker, &threads(3));
    });
}

#[test]
fn h10_a_single_aicpu_thread_runs_everything() {
    on_both_chips(|worker, _| {
        let clusters = worker.facts().unwrap().clusters_max;
        for block_dim in [1, 3, clusters] {
            let start = Instant::now();
            assert_works(worker, &RunConfig { block_dim, ..threads(1) });
            assert!(start.elapsed() < BOUND);
        }
        let handle = worker.register(&sources::callable("graphs", "empty", Vec::new())).unwrap();
        let none = worker.run(&handle, &mut Arguments::new(), &threads(0));
        assert!(matches!(none, Err(RunError::AicpuThreads { value: 0, .. })), "{none:?}");
    });
}

/// Out of the entry, the config function and a kernel, of class and of other types; a constructor's is
/// in `h2_an_id_whose_load_…`.
#[test]
fn h11_an_exception_of_the_users_code_is_an_error_and_not_the_end_of_the_process() {
    on_both_chips(|worker, platform| {
        let chip = platform.chip();
        let (entry, kernel) = (StatusCode::EntryException, StatusCode::KernelException);
        for (builder, code, part) in [
            (faults(chip, "throws_error"), entry, "std::runtime_error: no such tile"),
            (faults(chip, "throws_number"), entry, "int"),
            (faults(chip, "throws_in_scope"), entry, "string"),
            (faults(chip, "asserts"), entry, "assertion failed"),
            (faults(chip, "spoils").config("config_throws"), entry, "no configuration"),
            (faults(chip, "kernel_throws"), kernel, "std::logic_error: odd tile"),
        ] {
            let handle = worker.register(&sources::packed(builder, kernels(chip))).unwrap();
            for aicpu_threads in [1, 3] {
                let result = one_cell().run(worker, &handle, &threads(aicpu_threads));
                assert_fault(result, code, &[part]);
            }
        }
        assert_works(worker, &threads(3));
    });
}
