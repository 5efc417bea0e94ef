//! Outputs without number, tensors that are on the device already, memory that is given back while
//! the graph is built.

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::worker::{CallableHandle, Worker};
use protocol::{DataType, DeviceAddr};
use zerocopy::IntoBytes as _;

use super::memory_kernels;
use crate::arguments::CaseArguments;
use crate::program::Program;
use crate::scene::{Case, Expect, Scene};
use crate::stage::Stage;

/// What outputs hold before where they may keep it.
const BEFORE: u64 = 0xDEAD_BEEF;
/// Runs that add to one state.
const RUNS: u64 = 3;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            name: "hbg_outputs",
            summary: "64 output tensors, and more than 64 outputs of one tensor, some left out",
            programs: vec![program("many_tensors"), program("pieces")],
            cases: vec![
                Case::new("64 tensors", "many_tensors", Expect::Values { tasks: 64 }, many_tensors)
                    .rounds(2)
                    .small(),
                pieces(100, 3).small(),
                pieces(5000, 5),
            ],
        },
        Scene {
            name: "hbg_device_tensors",
            summary: "a state on the device goes through runs; the host writes to it, too",
            programs: vec![program("accumulate")],
            cases: vec![Case::own("three runs", accumulate).small()],
        },
        Scene {
            name: "hbg_memory",
            summary: "memory that is given back and taken again while the graph is built",
            programs: vec![program("given_back")],
            cases: vec![given_back(4).rounds(2).small(), given_back(1000).rounds(2)],
        },
    ]
}

fn program(entry: &'static str) -> Program {
    Program::host_built(entry, "host_graph/memory/orchestration.cpp", &memory_kernels())
}

/// Names of tensors, as there are no others of them.
const NAMES: [&str; 64] = {
    let mut names = ["a tensor"; 64];
    names[0] = "the first tensor";
    names[63] = "the last tensor";
    names
};

fn many_tensors() -> CaseArguments {
    let tensor = |arguments: CaseArguments, (name, k): (&&'static str, u64)| {
        let cells: Vec<u64> = (0..=k).map(|cell| 1000 * k + cell).collect();
        // CAST: at most 64.
        arguments.output(name, &cells, &[cells.len() as u32])
    };
    NAMES.iter().zip(0..).fold(CaseArguments::new(), tensor)
}

/// Pieces of a tensor; every third one is no output.
fn pieces(count: u64, cells: u64) -> Case {
    let expect = Expect::Values { tasks: count };
    Case::new(format!("{count} pieces"), "pieces", expect, move || {
        let cell = |(piece, cell)| if piece % 3 == 2 { BEFORE } else { 100 * piece + cell };
        let places = (0..count).flat_map(|piece| (0..cells).map(move |cell| (piece, cell)));
        let after: Vec<u64> = places.map(cell).collect();
        let first: Vec<u64> = (0..cells).collect();
        // CAST: (both) some thousands.
        CaseArguments::new()
            .inout("pieces", &vec![BEFORE; after.len()], &after, &[after.len() as u32])
            .output("again", &first, &[cells as u32])
            .scalar(cells)
    })
}

/// Each piece of 16 cells counts from 7 times its first place.
fn given_back(pieces: u64) -> Case {
    let expect = Expect::Values { tasks: pieces };
    Case::new(format!("{pieces} pieces"), "given_back", expect, move || {
        let cells: Vec<u64> = (0..16 * pieces).map(|at| 7 * (at / 16 * 16) + at % 16).collect();
        // CAST: some thousands.
        CaseArguments::new().output("out", &cells, &[cells.len() as u32])
    })
}

/// Runs that each add their input to the state twice, but for its last cell, which they begin anew.
fn accumulate(stage: &Stage<'_>) -> Result<u64, String> {
    let worker = stage.open()?;
    let handle = stage.register(&worker, "accumulate")?;
    let mut expected: Vec<u64> = (0..50).map(|cell| 1000 + cell).collect();
    let bytes = size_of_val(expected.as_slice());
    let state = worker.allocate(bytes).map_err(|error| error.to_string())?;
    worker.copy_in(state, expected.as_bytes()).map_err(|error| error.to_string())?;
    let mut tasks = 0;
    for run in 0..RUNS {
        let added: Vec<u64> = (0..50).map(|cell| 10 * cell + run + 1).collect();
        let seen = add(stage, (&worker, &handle), state, &added, &mut tasks)?;
        expected[49] = added[0] - 1;
        for (cell, added) in expected.iter_mut().zip(&added) {
            *cell = 3 * (3 * *cell + added) + added;
        }
        let mut left = vec![0; 50];
        worker.copy_out(left.as_mut_bytes(), state).map_err(|error| error.to_string())?;
        if seen != expected || left != expected {
            return Err(format!("run {run}: {expected:?}, got {seen:?}, left {left:?}"));
        }
    }
    worker.free(state).map_err(|error| error.to_string())?;
    Ok(tasks)
}

/// One run of `accumulate`; what it gives back.
fn add(
    stage: &Stage<'_>,
    (worker, handle): (&Worker, &CallableHandle),
    state: DeviceAddr,
    added: &[u64],
    tasks: &mut u64,
) -> Result<Vec<u64>, String> {
    // CAST: a few.
    let shape = vec![added.len() as u32];
    let mut seen = vec![BEFORE; added.len()];
    let state = TensorArgument { data: TensorData::Device(state), dtype: DataType::Uint64, shape };
    let mut arguments = Arguments::new();
    let length = state.shape.clone();
    arguments.push_tensor(state).map_err(|error| error.to_string())?;
    arguments.push_input(added, &length).map_err(|error| error.to_string())?;
    arguments.push_output(&mut seen, &length).map_err(|error| error.to_string())?;
    let report = worker.run(handle, &mut arguments, &stage.setting.config());
    *tasks += report.map_err(|error| error.to_string())?.tasks;
    drop(arguments);
    Ok(seen)
}
