//! Where blocks write, and what must be there: a cache line for each core, all else untouched.

use super::task::Task;
use crate::arguments::CaseArguments;
use crate::scene::{Case, Expect};

/// Elements in a cache line of 64 bytes.
const LINE: usize = 16;
/// What the output holds before; no block has this index.
const UNTOUCHED: f32 = -1.0;

/// How the tasks of a case share the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Each changes all of it, so they run one after the other.
    InLine,
    /// Each changes a view of its own.
    Disjoint,
    /// Each uses all of it without any order.
    NoDep,
}

impl Sharing {
    fn scalar(self) -> u64 {
        match self {
            Self::InLine => 0,
            Self::Disjoint => 1,
            Self::NoDep => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InLine => "in line",
            Self::Disjoint => "disjoint views",
            Self::NoDep => "without order",
        }
    }
}

/// A case for each way to share, of tasks that mark their blocks.
pub(super) fn marked(tasks: &[Task], block_dims: &[u32]) -> Vec<Case> {
    let case = |sharing: Sharing| {
        let owned = tasks.to_vec();
        let expect = Expect::Values { tasks: tasks.len() as u64 };
        let arguments = move || {
            let lines: Vec<_> = owned.iter().flat_map(|task| task.marks()).collect();
            arguments(sharing, &owned, &lines)
        };
        Case::new(sharing.name(), "spmd", expect, arguments).small().block_dims(block_dims)
    };
    [Sharing::InLine, Sharing::Disjoint, Sharing::NoDep].map(case).into()
}

/// The arguments of `marked`: the first elements of each line as given, all else untouched.
pub(super) fn arguments(sharing: Sharing, tasks: &[Task], lines: &[Vec<f32>]) -> CaseArguments {
    let count = tasks.iter().map(|task| task.lines()).sum();
    let arguments = with_lines(count, lines).scalar(sharing.scalar());
    tasks.iter().fold(arguments, |arguments, task| arguments.scalar(task.scalar()))
}

/// An output of `count` lines.
pub(super) fn with_lines(count: usize, lines: &[Vec<f32>]) -> CaseArguments {
    let initial = vec![UNTOUCHED; count * LINE];
    let mut expected = initial.clone();
    for (line, first) in expected.chunks_exact_mut(LINE).zip(lines) {
        line[..first.len()].copy_from_slice(first);
    }
    // CAST: a few thousand.
    let shape = [initial.len() as u32];
    CaseArguments::new().inout("out", &initial, &expected, &shape).exactly()
}
