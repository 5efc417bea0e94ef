//! Tasks of many blocks, with and without a common start: the block numbers and the layout of the
//! result are those of spec trb §9.5.
//!
//! There, all tasks change one whole tensor and so run one after the other. Each scene here also has
//! them on disjoint views and without dependencies, where they really run side by side.

use protocol::StatusCode;

use self::layout::{Sharing, marked};
use self::task::{Task, aiv, mix};

use crate::program::{self, Program};
use crate::scene::{Case, Expect, Scene};

mod layout;
mod meetings;
mod task;

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let stress_round = [vec![mix(4); 4], vec![mix(12).sync(); 2], vec![aiv(8).sync(); 2]].concat();
    let stress_round = [stress_round, vec![aiv(4)]].concat();
    // Eighteen plain ones and two with a common start, one in the middle and one at the end.
    let starvation = [vec![mix(4); 9], vec![mix(6).sync()]].concat().repeat(2);
    let mut scenes = vec![
        basic(),
        scene("spmd_multiblock_aiv", 188, &[4, 16, 24, 48, 96].map(aiv)),
        scene("spmd_multiblock_mix", 282, &[2, 8, 12, 24, 48].map(mix)),
        scene("spmd_batch_dispatch_oob", 288, &[mix(48), mix(48)]),
        scene("spmd_starvation", 252, &starvation),
        scene("spmd_sync_start", 72, &[mix(2).sync(), mix(8).sync(), mix(2), mix(12).sync()]),
        scene("spmd_sync_start_aiv", 48, &[aiv(4).sync(), aiv(16).sync(), aiv(4), aiv(24).sync()]),
        sync_start_edge(),
        scene("spmd_sync_start_stress", 840, &stress_round.repeat(6)),
    ];
    scenes.extend(meetings::scenes());
    scenes
}

/// The program whose kernels are `kernel` on every core.
fn programs(entry: &'static str, kernel: &'static str) -> Vec<Program> {
    let kernels = [program::aic(0, kernel), program::aiv(1, kernel)];
    vec![Program::new("spmd", "spmd/orchestration.cpp", &kernels).entry(entry)]
}

/// One mixed task of one block: what its three cores know of themselves.
fn basic() -> Scene {
    let lines = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]];
    let case = |name, sharing| {
        Case::new(name, "spmd", Expect::Values { tasks: 1 }, move || {
            layout::arguments(sharing, &[mix(1)], &lines.map(|line| line.to_vec()))
        })
        .small()
        .block_dims(&[24, 1])
    };
    Scene {
        name: "spmd_basic",
        summary: "one mixed task: block 0 of 1, vector cores 0 and 1, in three cache lines",
        programs: programs("marked", "spmd/kernels/describe.cpp"),
        cases: vec![case("whole", Sharing::InLine), case("without order", Sharing::NoDep)],
    }
}

/// Tasks that mark their blocks, in line and side by side. `lines` is how many the specification
/// counts.
fn scene(name: &'static str, lines: usize, tasks: &[Task]) -> Scene {
    debug_assert_eq!(tasks.iter().map(|task| task.lines()).sum::<usize>(), lines, "{name}");
    Scene {
        name,
        summary: "blocks run once each, with indices of their own; in line and side by side",
        programs: programs("marked", "spmd/kernels/mark.cpp"),
        cases: marked(tasks, &[24]),
    }
}

/// Sizes around half of the clusters and all but one; one more than there are is refused.
fn sync_start_edge() -> Scene {
    let tasks = [mix(1).sync(), mix(8).sync(), mix(9).sync(), mix(23).sync(), mix(1)];
    let mut scene = scene("spmd_sync_start_edge", 126, &tasks);
    scene.cases.extend([(mix(24), "limit=23"), (aiv(47), "limit=46")].map(|(task, part)| {
        let expect = Expect::fault(StatusCode::RequireSyncStartInvalid, &[part]);
        let arguments = move || layout::arguments(Sharing::InLine, &[task.sync()], &[]);
        Case::new(format!("refused, {part}"), "spmd", expect, arguments).block_dims(&[23])
    }));
    scene
}
