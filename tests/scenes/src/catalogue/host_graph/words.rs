//! Scalars of all types as words of tasks, and graphs without tasks.

use super::none;
use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// One of each type, as bits of its own width in the low end of a word (spec hbg §A4). In the order of
/// the orchestration: `1.5f`, `-2.25f`, 2.5, -1 in 8 bits, 200, -300 in 16 bits, 60000, -7 in 32 bits,
/// 4000000000, -7 in 64 bits, a pattern, true, false, the core type AIV.
const EACH_TYPE: [u64; 14] = [
    0x3FC0_0000,
    0xC010_0000,
    0x4004_0000_0000_0000,
    0xFF,
    200,
    0xFED4,
    60_000,
    0xFFFF_FFF9,
    4_000_000_000,
    0xFFFF_FFFF_FFFF_FFF9,
    0x0123_4567_89AB_CDEF,
    1,
    0,
    1,
];

/// The scene of this family.
pub(super) fn scene() -> Scene {
    let kernels =
        [aiv(0, "host_graph/words/kernels/show.cpp"), aiv(1, "host_graph/words/kernels/scale.cpp")];
    let program =
        |entry| Program::host_built(entry, "host_graph/words/orchestration.cpp", &kernels);
    let shown = |count: u64| {
        let expect = Expect::Values { tasks: 1 + count.div_ceil(14) };
        Case::new(format!("{count} scalars"), "show_words", expect, move || show_words(count))
    };
    Scene {
        name: "hbg_words",
        summary: "words of tasks: scalars of all types, up to 128 of a run; graphs without tasks",
        programs: ["show_words", "scale", "pass_on", "nothing"].map(program).into(),
        cases: vec![
            shown(0).small(),
            shown(1).small(),
            shown(128).small(),
            Case::new("scaled", "scale", Expect::Values { tasks: 1 }, scaled).small(),
            Case::new("no task", "pass_on", Expect::Values { tasks: 0 }, pass_on).small(),
            Case::new("nothing", "nothing", Expect::Values { tasks: 0 }, none).small(),
        ],
    }
}

fn show_words(count: u64) -> CaseArguments {
    let scalars: Vec<u64> = (0..count).map(|scalar| u64::MAX - scalar * scalar).collect();
    let seen = [&EACH_TYPE[..], &scalars].concat();
    // CAST: below 200.
    let arguments = CaseArguments::new().output("seen", &seen, &[seen.len() as u32]);
    scalars.into_iter().fold(arguments, CaseArguments::scalar)
}

/// out = 2.5 in + 0.125 - 3, exact in all its steps.
fn scaled() -> CaseArguments {
    let input: Vec<f32> = (0..1000).map(|i| i as f32 - 500.0).collect();
    let out: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) * 2.5 - 2.875).collect();
    CaseArguments::new()
        .input("in", &input, &[1000])
        .output("out", &out, &[1000])
        .exactly()
        .scalar(2.5_f32)
        .scalar(0.125_f64.to_bits())
        .scalar(-3_i32)
}

fn pass_on() -> CaseArguments {
    let cells: Vec<u64> = (0..300).map(|cell| cell * cell).collect();
    CaseArguments::new().input("in", &cells, &[300]).output("out", &cells, &[300])
}
