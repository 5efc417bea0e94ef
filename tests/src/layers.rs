//! Large graphs that a few numbers describe, and what they compute: one task, some, one, and so on.

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::run::{RunConfig, RunError, RunReport};
use host_runner::worker::{CallableHandle, Worker};
use protocol::{ChipName, CoreType};

use crate::sources;
use crate::workers::SENTINEL;

/// The numbers of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Tasks between one and the next.
    pub width: u64,
    /// How often.
    pub layers: u64,
    /// What is added to cells.
    pub salt: u64,
    /// To the cells of how many tasks, from the first on.
    pub salted: u64,
}

/// The callable that builds such graphs.
pub fn callable_for(chip: ChipName) -> Callable {
    let kernel = sources::kernel_for(chip, 0, CoreType::Aiv, "graph/gather");
    sources::host_callable_for(chip, "layers", "fork_join", vec![kernel])
}

impl Layers {
    /// With a salt for all.
    pub fn new(width: u64, layers: u64, salt: u64) -> Self {
        Self { width, layers, salt, salted: u64::MAX }
    }

    /// Its tasks.
    pub fn tasks(&self) -> u64 {
        1 + self.layers * (self.width + 1)
    }

    /// Its edges: two for each task between.
    pub fn edges(&self) -> u64 {
        2 * self.layers * self.width
    }

    /// What its tasks leave in their cells.
    pub fn cells(&self) -> Vec<u64> {
        let own = |task: u64| task.wrapping_add(if task < self.salted { self.salt } else { 0 });
        let mut cells = vec![own(0)];
        for _ in 0..self.layers {
            let fork = cells[cells.len() - 1];
            let mut sum: u64 = 0;
            for _ in 0..self.width {
                let cell = own(cells.len() as u64).wrapping_add(fork);
                cells.push(cell);
                sum = sum.wrapping_add(cell);
            }
            cells.push(own(cells.len() as u64).wrapping_add(sum));
        }
        cells
    }

    /// Runs it, and checks every cell.
    ///
    /// # Errors
    ///
    /// As [`Worker::run`].
    #[track_caller]
    pub fn run(
        &self,
        worker: &Worker,
        handle: &CallableHandle,
        config: &RunConfig,
    ) -> Result<RunReport, RunError> {
        let expected = self.cells();
        let mut cells = vec![SENTINEL; expected.len()];
        let length = [u32::try_from(cells.len()).expect("a graph of some tasks")];
        let mut arguments = Arguments::new();
        arguments.push_inout(&mut cells, &length).expect("an output");
        for scalar in [self.width, self.layers, self.salt, self.salted] {
            arguments.push_scalar(scalar).expect("a scalar");
        }
        let report = worker.run(handle, &mut arguments, config)?;
        drop(arguments);
        let wrong = cells.iter().zip(&expected).position(|(cell, expected)| cell != expected);
        assert_eq!(wrong, None, "the first task whose cell is wrong; {self:?}");
        assert_eq!(report.tasks, self.tasks());
        Ok(report)
    }
}
