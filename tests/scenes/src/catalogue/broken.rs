//! Scenes that must fail, each in its own way. Only the tests of the runner run them.

use std::time::Duration;

use protocol::StatusCode;

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// What the kernel writes.
const WRITTEN: u64 = 7;

/// The scenes.
pub(super) fn scenes() -> Vec<Scene> {
    vec![
        plain("broken_value", vec![store("8", 8, 0, Expect::Values { tasks: 1 })]),
        plain("broken_tasks", vec![store("two", WRITTEN, 0, Expect::Values { tasks: 2 })]),
        plain(
            "broken_fault",
            vec![
                store("no fault", WRITTEN, 0, Expect::fault(StatusCode::ExplicitFatal, &[])),
                store("good", WRITTEN, 0, Expect::Values { tasks: 1 }),
            ],
        ),
        plain("broken_crash", vec![store("null", WRITTEN, 1, Expect::Values { tasks: 1 })]),
        plain("broken_hang", vec![own(|| std::thread::sleep(Duration::from_secs(3600)))]),
        plain("broken_panic", vec![own(|| panic!("this scene gives up"))]),
        plain(
            "broken_memory",
            vec![own(|| {
                std::hint::black_box(vec![1_u8; 300 << 20]);
            })],
        ),
    ]
}

fn plain(name: &'static str, cases: Vec<Case>) -> Scene {
    let program =
        Program::new("store", "broken/orchestration.cpp", &[aiv(0, "broken/kernels/store.cpp")]);
    Scene { name, summary: "must fail", programs: vec![program], cases }
}

/// A run of the kernel; with `is_wild` it writes to address zero.
fn store(name: &str, expected: u64, is_wild: u64, expect: Expect) -> Case {
    Case::new(name, "store", expect, move || {
        CaseArguments::new().output("out", &[expected], &[1]).scalar(WRITTEN).scalar(is_wild)
    })
}

fn own(act: impl Fn() + 'static) -> Case {
    Case::own("own", move |_| {
        act();
        Ok(0)
    })
}
