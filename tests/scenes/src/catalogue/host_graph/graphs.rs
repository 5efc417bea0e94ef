//! Large graphs and graphs of odd shapes, which one orchestration builds from its input.

use super::shape::Shape;
use crate::catalogue::numbers::Numbers;
use crate::program::{KernelSource, Program, aic, aiv};
use crate::scene::{Case, Expect, Scene};

const SOURCE: &str = "host_graph/graphs/orchestration.cpp";
const KERNELS: [KernelSource; 2] = [
    aic(0, "host_graph/graphs/kernels/follow.cpp"),
    aiv(1, "host_graph/graphs/kernels/follow.cpp"),
];

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        scene(
            "hbg_independent",
            "tasks without edges, up to 100,000; and no task at all",
            vec![
                case("none", || Shape::independent(0)).small(),
                case("one", || Shape::independent(1)).small(),
                case("100,000", || Shape::independent(100_000)).block_dims(&[24]),
            ],
        ),
        scene(
            "hbg_wide",
            "one task, up to 10,000 that wait for it, and one that waits for all of them",
            vec![
                case("129", || Shape::wide(129)).rounds(2).small(),
                case("10,000", || Shape::wide(10_000)).rounds(2),
            ],
        ),
        scene(
            "hbg_deep",
            "chains of up to 50,000 tasks, added from the first and from the last",
            vec![
                case("100", || Shape::chain(100)).rounds(2).small(),
                case("50,000", || Shape::chain(50_000)).block_dims(&[3]),
                case("50,000 in no order", || {
                    Shape::chain(50_000).shuffled(&mut Numbers::seeded(3))
                })
                .block_dims(&[24]),
            ],
        ),
        scene(
            "hbg_fork_join",
            "one task, eight, one, and so on, up to 100,000",
            vec![
                case("10 layers", || Shape::fork_join(8, 10)).rounds(2).small(),
                case("100,000 tasks", || Shape::fork_join(8, 11_111)).block_dims(&[24]),
                case("few very wide layers", || Shape::fork_join(1000, 20)),
            ],
        ),
        scene("hbg_layered", "random edges between layers, tasks and edges in no order", layered()),
    ]
}

fn layered() -> Vec<Case> {
    let random = |seed: u64, layers: usize, width: u64| {
        let name = format!("seed {seed}, {layers} layers of up to {width}");
        case(name, move || Shape::layered(seed, layers, width))
    };
    let mut cases: Vec<_> = (1..=4).map(|seed| random(seed, 6, 9).small().rounds(2)).collect();
    cases.push(random(9, 200, 100).rounds(2));
    cases.push(random(10, 2000, 12).block_dims(&[9]));
    cases.push(random(11, 20, 2000).block_dims(&[24]));
    cases
}

fn scene(name: &'static str, summary: &'static str, cases: Vec<Case>) -> Scene {
    let programs = vec![Program::host_built("build_any_graph", SOURCE, &KERNELS)];
    Scene { name, summary, programs, cases }
}

/// A case whose salt no other case has, so that none finds the cells of another one.
fn case(name: impl Into<String>, shape: impl Fn() -> Shape + 'static) -> Case {
    let name = name.into();
    let salt = name.bytes().fold(0, |salt: u64, byte| 31 * (salt % (1 << 40)) + u64::from(byte));
    let tasks = shape().tasks as u64;
    Case::new(name, "build_any_graph", Expect::Values { tasks }, move || shape().arguments(salt))
}
