//! The AICPU image at work: loaded by a stand-in for the chip's server, for both chips, on this machine and for
//! aarch64 under the emulator, with orchestrations and kernels in C++.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use protocol::{Chip as _, ChipName, StatusCode};
use stand_in::{DaemonError, Machine, NotHere};
use tests::firmware_host::{
    FirmwareHost, INIT_ENTRY, LIMIT, Launched, RUN_ENTRY, Run, SIM_ENTRY, STATIC_ENTRY, arguments,
    name_image,
};
use tests::workers::{FORK_JOIN_TASKS, SENTINEL, fork_join};

/// Does `act` with a chip of each kind on each machine that can be had here.
fn on_each(abi: &str, act: impl Fn(FirmwareHost, ChipName)) {
    for machine in Machine::ALL {
        for chip in [ChipName::A2a3, ChipName::A5] {
            match FirmwareHost::start(machine, chip, abi) {
                Ok(host) => act(host, chip),
                Err(NotHere(missing)) => println!("skipped: {missing}"),
            }
        }
    }
}

/// Threads of a launch of a chip, and places of a run.
fn threads(chip: ChipName) -> (u32, u32) {
    let counts = match chip {
        ChipName::A2a3 => {
            (protocol::A2a3::LAUNCHED_AICPU_THREADS, protocol::A2a3::MAX_AICPU_THREADS)
        }
        ChipName::A5 => (protocol::A5::LAUNCHED_AICPU_THREADS, protocol::A5::MAX_AICPU_THREADS),
    };
    // CAST: a handful.
    (counts.0 as u32, counts.1 as u32)
}

const INPUT: [u64; 16] = [9, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610];

/// A run of the callable 3 on one cluster with two threads.
const RUN: Run = Run { id: 3, generation: 7, clusters: 1, places: 2, launched: 2 };

/// What runs of `graphs.cpp` need, in device memory.
struct Graph {
    image: (u64, u64),
    kernels: Vec<u64>,
    input: u64,
    output: u64,
}

impl Graph {
    fn put(host: &mut FirmwareHost) -> Self {
        let image = host.put_orchestration("graphs");
        let names = ["fill", "add", "append", "weigh"];
        let kernels = names.map(|name| host.put_kernel(name)).to_vec();
        let input = host.put(&INPUT.map(u64::to_le_bytes).concat());
        let output = host.allocate(8 * INPUT.len() as u64);
        Self { image, kernels, input, output }
    }

    /// The record of a run of `fork_join` with this scalar, whose output holds nothing yet.
    fn record(&mut self, host: &mut FirmwareHost, run: Run, first: u64) -> u64 {
        self.output = host.put(&[SENTINEL.to_le_bytes(); INPUT.len()].concat());
        let arguments =
            arguments(&[(self.input, INPUT.len()), (self.output, INPUT.len())], &[first]);
        host.run_record(run, arguments, &self.kernels, &|_| {})
    }

    /// Runs `fork_join` and looks at what comes out.
    #[track_caller]
    fn assert_runs(&mut self, host: &mut FirmwareHost, run: Run, first: u64) {
        let record = self.record(host, run, first);
        let launched = host.launch(run, record);
        self.assert_ran(host, &launched, run, first);
    }

    #[track_caller]
    fn assert_ran(&self, host: &FirmwareHost, launched: &Launched, run: Run, first: u64) {
        let statuses = vec![0; run.launched as usize];
        assert_eq!(*launched, Launched { statuses, tasks: FORK_JOIN_TASKS, stopped: 0 }, "{run:?}");
        let output = host.numbers(self.output, INPUT.len());
        assert_eq!(output, fork_join(&INPUT, first), "{run:?}");
    }
}

#[test]
fn runs_give_the_right_numbers_on_all_numbers_of_threads() {
    on_each("onboard", |mut host, chip| {
        let (_, places_max) = threads(chip);
        assert_eq!(host.call(STATIC_ENTRY, 0, 1), [0]);
        let mut graph = Graph::put(&mut host);
        assert_eq!(host.load(RUN, graph.image, "fork_join"), 0);
        for launched in 1..=places_max {
            // CAST: a handful.
            for clusters in [1, 3] {
                let run = Run { clusters, places: launched as i32, launched, ..RUN };
                graph.assert_runs(&mut host, run, 40 + u64::from(launched));
            }
        }
        // Loaded anew for another generation of the id, and run again.
        let run = Run { generation: 8, ..RUN };
        assert_eq!(host.load(run, graph.image, "fork_join"), 0);
        graph.assert_runs(&mut host, run, 1);
    });
}

#[test]
fn threads_without_a_place_are_sent_away_whoever_the_host_is() {
    on_each("onboard", |mut host, chip| {
        let (launched, places_max) = threads(chip);
        let mut graph = Graph::put(&mut host);
        // A host that knows nothing of numbers loads with the first run.
        for (round, places) in [1, places_max, 2, 2].into_iter().enumerate() {
            // CAST: a handful.
            let run = Run { places: places as i32, launched, ..RUN };
            let tensors = [(graph.input, INPUT.len()), (graph.output, INPUT.len())];
            let (arguments, image) = (arguments(&tensors, &[5]), graph.image);
            let record = host.run_record(run, arguments, &graph.kernels, &|body| {
                body.extension = Default::default();
                if round == 0 {
                    name_image(body, image, "fork_join");
                }
            });
            let done = host.launch(run, record);
            graph.assert_ran(&host, &done, run, 5);
        }
        // Ours numbers its runs: more threads than a launch has do no harm.
        let run = Run { id: 4, launched: launched + 3, ..RUN };
        assert_eq!(host.load(run, graph.image, "fork_join"), 0);
        for first in 0..3 {
            graph.assert_runs(&mut host, run, first);
        }
    });
}

#[test]
fn wrong_arguments_are_refused_with_their_status_and_the_next_run_is_right() {
    on_each("onboard", |mut host, _| {
        let invalid = -StatusCode::InvalidArgs.code();
        let mut graph = Graph::put(&mut host);
        assert_eq!(host.load(RUN, graph.image, "fork_join"), 0);
        let record = graph.record(&mut host, RUN, 1);
        let good = host.launch_record(record);
        for entry in [INIT_ENTRY, RUN_ENTRY] {
            for argument in [0, good + 4, good + 1] {
                assert_eq!(host.call(entry, argument, 2), [invalid; 2], "{entry} {argument:#x}");
            }
        }
        for runtime in [0, record + 8, record + 32] {
            let args = host.launch_record(runtime);
            assert_eq!(host.call(RUN_ENTRY, args, 2), [invalid; 2], "{runtime:#x}");
        }
        type Spoil = fn(&mut protocol::RuntimeBody);
        let spoiled: [(StatusCode, Spoil); 6] = [
            (StatusCode::ThreadCountInvalid, |body| body.sche_cpu_num = 0),
            (StatusCode::ThreadCountInvalid, |body| body.sche_cpu_num = 8),
            (StatusCode::TooManyCores, |body| body.worker_count = 3000),
            (StatusCode::RegionTooSmall, |body| body.task_window_size = 6),
            (StatusCode::RegionTooSmall, |body| body.heap_size = u64::MAX / 2),
            (StatusCode::CallableIdInvalid, |body| body.active_callable_id = -2),
        ];
        for (code, spoil) in spoiled {
            let tensors = [(graph.input, INPUT.len()), (graph.output, INPUT.len())];
            let record = host
                .run_record(RUN, arguments(&tensors, &[1]), &graph.kernels, &|body| spoil(body));
            let Launched { statuses, tasks, .. } = host.launch(Run { launched: 1, ..RUN }, record);
            assert_eq!((statuses, tasks), (vec![-code.code()], 0), "{code:?}");
        }
        graph.assert_runs(&mut host, RUN, 77);
    });
}

#[test]
fn a_callable_that_is_stale_or_not_loaded_is_refused_and_others_run() {
    on_each("onboard", |mut host, _| {
        let mut graph = Graph::put(&mut host);
        assert_eq!(host.load(RUN, graph.image, "fork_join"), 0);
        let refused = |host: &mut FirmwareHost, graph: &mut Graph, run: Run| {
            let record = graph.record(host, run, 1);
            let statuses = host.launch(Run { launched: 1, ..run }, record).statuses;
            assert_eq!(host.numbers(graph.output, 1), [SENTINEL]);
            statuses
        };
        let stale = refused(&mut host, &mut graph, Run { generation: 6, ..RUN });
        assert_eq!(stale, [-StatusCode::StaleCallable.code()]);
        let missing = refused(&mut host, &mut graph, Run { id: 5, ..RUN });
        assert_eq!(missing, [-StatusCode::CallableNotLoaded.code()]);
        graph.assert_runs(&mut host, RUN, 3);
        let no_entry = host.load(Run { id: 6, ..RUN }, graph.image, "no_such_entry");
        assert_eq!(no_entry, -StatusCode::EntryMissing.code());
        let input = (graph.input, 8 * INPUT.len() as u64);
        let no_image = host.load(Run { id: 6, ..RUN }, input, "fork_join");
        assert_eq!(no_image, -StatusCode::LoadFailed.code());
        graph.assert_runs(&mut host, RUN, 4);
    });
}

/// Runs an entry of `faults.cpp` with one tensor of eight numbers.
fn launch_fault(host: &mut FirmwareHost, id: i32, entry: &str) -> Result<Launched, DaemonError> {
    let image = host.put_orchestration("faults");
    let run = Run { id, ..RUN };
    assert_eq!(host.load(run, image, entry), 0);
    let out = host.allocate(64);
    let kernel = host.put_kernel("fill");
    let record = host.run_record(run, arguments(&[(out, 8)], &[]), &[kernel], &|_| {});
    let args = host.launch_record(record);
    let cores = host.begin_cores(record, run.clusters);
    let statuses = host.daemon().call(RUN_ENTRY, args, run.launched, LIMIT)?;
    match cores.wait(LIMIT)? {
        stand_in::Answer::CoresLeft { tasks, stopped, .. } => {
            Ok(Launched { statuses, tasks, stopped })
        }
        other => Err(DaemonError::Other(other)),
    }
}

#[test]
fn a_fault_of_an_orchestration_is_the_status_of_the_run_and_the_next_run_is_right() {
    on_each("onboard", |mut host, _| {
        let launched = launch_fault(&mut host, 1, "fatal").unwrap();
        let code = -StatusCode::ExplicitFatal.code();
        assert!(launched.statuses.contains(&code), "{launched:?}");
        assert!(launched.statuses.iter().all(|status| [0, code].contains(status)), "{launched:?}");
        assert_eq!(launched.stopped, 0, "the AICPU sends its cores away");
        let mut graph = Graph::put(&mut host);
        assert_eq!(host.load(RUN, graph.image, "fork_join"), 0);
        graph.assert_runs(&mut host, RUN, 11);
    });
}

#[test]
fn exceptions_are_caught_within_an_orchestration_and_are_faults_outside() {
    on_each("onboard", |mut host, _| {
        // What `imports.cpp` writes of the exceptions that it throws and catches, and nothing behind that.
        let expected = [1, 0, 1, 42, 43, 1, 1, 1, SENTINEL];
        let image = host.put_orchestration("imports");
        let run = Run { id: 2, ..RUN };
        assert_eq!(host.load(run, image, "exceptions"), 0);
        let out = host.put(&[SENTINEL.to_le_bytes(); 9].concat());
        let record = host.run_record(run, arguments(&[(out, 9)], &[]), &[], &|_| {});
        let launched = host.launch(run, record);
        assert_eq!(launched, Launched { statuses: vec![0; 2], tasks: 0, stopped: 0 });
        assert_eq!(host.numbers(out, 9), expected);
        let code = -StatusCode::EntryException.code();
        for _ in 0..3 {
            let launched = launch_fault(&mut host, 1, "throws_error").unwrap();
            assert!(launched.statuses.contains(&code), "{launched:?}");
            assert_eq!(launched.stopped, 0, "the AICPU sends its cores away");
        }
        let mut graph = Graph::put(&mut host);
        assert_eq!(host.load(RUN, graph.image, "fork_join"), 0);
        graph.assert_runs(&mut host, RUN, 11);
    });
}

#[test]
fn a_simulator_host_finds_what_it_looks_up_and_runs() {
    on_each("sim", |mut host, chip| {
        let mut setters = vec![
            "set_platform_dump_base",
            "set_dump_tensor_enabled",
            "set_platform_l2_perf_base",
            "set_l2_swimlane_enabled",
            "set_platform_pmu_base",
            "set_pmu_enabled",
            "set_log_level",
            "set_log_info_v",
        ];
        if chip == ChipName::A2a3 {
            setters.push("set_platform_pmu_reg_addrs");
        }
        for setter in setters {
            for value in [1, 0] {
                // It returns nothing; that it returns is what there is to see.
                assert_eq!(host.call(setter, value, 1).len(), 1, "{setter}");
            }
        }
        let registers = host.registers();
        assert_eq!(host.call("set_platform_regs", registers, 1).len(), 1);
        for argument in [0, registers + 8] {
            let status = host.call(SIM_ENTRY, argument, 1);
            assert_eq!(status, [-StatusCode::InvalidArgs.code()], "{argument:#x}");
        }
        let mut graph = Graph::put(&mut host);
        let image = graph.image;
        for (round, places) in [3, 1, 2].into_iter().enumerate() {
            let run = Run { places, launched: places.unsigned_abs(), ..RUN };
            graph.output = host.put(&[SENTINEL.to_le_bytes(); INPUT.len()].concat());
            let tensors = [(graph.input, INPUT.len()), (graph.output, INPUT.len())];
            let record = host.run_record(run, arguments(&tensors, &[2]), &graph.kernels, &|body| {
                body.extension = Default::default();
                if round == 0 {
                    name_image(body, image, "fork_join");
                }
            });
            let launched = host.launch_entry(run, record, SIM_ENTRY, record);
            graph.assert_ran(&host, &launched, run, 2);
        }
    });
}
