//! What tests of prepared callables register, run and count.

use crate::sources;
use crate::workers::{Cells, SENTINEL, open_on, threads};
use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Counters, PlatformName, Worker};
use protocol::{ChipName, CoreType};

/// Does `scenario` on each chip, with a worker of its own.
pub fn on_both_chips(scenario: impl Fn(&Worker, PlatformName)) {
    for platform in PlatformName::SIMULATORS {
        scenario(&open_on(*platform), *platform);
    }
}

/// The callable of spec callable §6.3: kernels `add`, `add_scalar` and `mul` under func ids 0 to 2.
pub fn vector_add(platform: PlatformName) -> Callable {
    sources::example_for(platform, "vector_add").1
}

/// The hbg callable of spec callable §6.3: (a + b + 1)(a + b + 2) on a2a3, a + b + 1 on a5.
pub fn reference_graph(platform: PlatformName) -> Callable {
    let chip = platform.chip();
    let entry = match chip {
        ChipName::A2a3 => "build_example_graph",
        ChipName::A5 => "build_dump_tensor_graph",
    };
    let names = ["graph/add_floats", "graph/raise_floats", "graph/multiply_floats"];
    let kernel = |(name, id): (&&str, i64)| sources::kernel_for(chip, id, CoreType::Aiv, name);
    sources::host_callable_for(
        chip,
        "reference_graphs",
        entry,
        names.iter().zip(0..).map(kernel).collect(),
    )
}

/// Runs `vector_add` on a = 2 and b = 3: f = (a + b + 1)(a + b + 2) + (a + b) = 47.
#[track_caller]
pub fn assert_47(worker: &Worker, handle: &CallableHandle) {
    let (a, b) = (vec![2.0_f32; 128 * 128], vec![3.0_f32; 128 * 128]);
    let mut f = vec![0.0_f32; 128 * 128];
    let mut arguments = Arguments::new();
    arguments.push_input(&a, &[128, 128]).expect("an input");
    arguments.push_input(&b, &[128, 128]).expect("an input");
    arguments.push_output(&mut f, &[128, 128]).expect("an output");
    let config = RunConfig { block_dim: 3, ..threads(4) };
    let report = worker.run(handle, &mut arguments, &config).expect("it runs");
    assert_eq!(report.tasks, 5);
    assert!(f.iter().all(|element| (element - 47.0).abs() <= 1e-5));
}

/// A callable whose output says that it was image `number`, with this kernel under func id 0.
pub fn witness(chip: ChipName, number: u64, kernel: &str) -> Callable {
    let image = sources::witness_for(chip, number);
    let builder = Callable::builder(image).name("witness").entry("first_entry");
    sources::packed(builder, vec![sources::kernel_for(chip, 0, CoreType::Aiv, kernel)])
}

/// What the `run`-th run of [`witness`] since its load writes first.
pub fn testimony(number: u64, run: u64) -> u64 {
    number * 100_000_000 + 10_000_000 + run * 1000
}

/// Runs a callable of one tensor and one scalar 0; what it leaves in three cells.
#[track_caller]
pub fn cells_after(worker: &Worker, handle: &CallableHandle) -> Vec<u64> {
    let mut passed = Cells { cells: vec![SENTINEL; 3], scalars: vec![0], ..Cells::default() };
    passed.run(worker, handle, &threads(3)).expect("it runs");
    passed.cells
}

/// Registrations, loads that the device has acknowledged, registrations that have been run, runs.
pub fn counted(worker: &Worker) -> (u64, u64, u64, u64) {
    let Counters { registrations, loads, aicpu_dlopen_count, runs, .. } = worker.counters();
    (registrations, loads, aicpu_dlopen_count, runs)
}

/// Allocations and bytes that a holder has, by the memory report.
pub fn held(worker: &Worker, holder: &str) -> (usize, usize) {
    let report = worker.memory_report();
    let of_holder = report.holders.iter().filter(|it| it.holder == holder);
    of_holder.fold((0, 0), |sum, it| (sum.0 + it.allocations, sum.1 + it.bytes))
}
