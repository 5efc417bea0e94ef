//! The tasks on 64-bit numbers of `programs/cells`, and what chains of them compute.

use crate::program::{KernelSource, Program, aiv};

/// The kernels that `cells/cells.h` numbers.
pub(super) const KERNELS: [KernelSource; 3] = [
    aiv(0, "cells/kernels/fill.cpp"),
    aiv(1, "cells/kernels/append.cpp"),
    aiv(2, "cells/kernels/weigh.cpp"),
];

/// An entry of an orchestration with these kernels; the entry names the program.
pub(super) fn program(orchestration: &'static str, entry: &'static str) -> Program {
    Program::new(entry, orchestration, &KERNELS).entry(entry)
}

/// What a cell holds after appends in order, each the sum of its input and constant.
pub(super) fn appended(state: u64, steps: impl IntoIterator<Item = u64>) -> u64 {
    steps.into_iter().fold(state, |state, step| state.wrapping_mul(3).wrapping_add(step))
}
