//! A worker with the callable that makes the calls of scripts, a graph that is right, and what must be
//! so after one that is not.

use host_runner::host_orchestration::{BuildError, CallError};
use host_runner::run::{RunConfig, RunError, RunReport};
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use tests::script::{AIC, At, CELLS, MIX_ON_CUBE, Played, Script, player_for};
use tests::workers::{SENTINEL, open_on, threads};

/// Cells of the graph that is right.
pub(crate) const COUNT: u64 = 8;
/// Their bytes.
pub(crate) const BYTES: u64 = 8 * COUNT;

/// What a test works with.
pub(crate) struct Stand {
    pub(crate) worker: Worker,
    pub(crate) handle: CallableHandle,
}

/// Settings of the runs here: few clusters, so that a run is quick.
pub(crate) fn config() -> RunConfig {
    RunConfig { block_dim: 3, ..threads(3) }
}

/// The cells of the caller.
pub(crate) const HOST: At = At::Tensor(CELLS, 0);

/// The calls of a graph of three tasks, one of them on a cube core; of x it makes 16 x + 5 c + 3.
pub(crate) fn diamond(c: u64) -> Script {
    let [x, left, right] = [0, 1, 2].map(|which| At::Memory(which, 0));
    let words = [x, x, right, At::Word(c + 1), At::Word(COUNT)];
    [0, 1, 2]
        .into_iter()
        .fold(Script::new(), |script, which| script.malloc(which, BYTES))
        .copy(x, HOST, BYTES)
        .record(HOST, x, BYTES)
        .mix(x, x, left, c, COUNT)
        .task(MIX_ON_CUBE, AIC, &words)
        .mix(left, right, x, c + 2, COUNT)
        .edge(0, 2)
        .edge(1, 2)
}

/// What it makes of cells.
pub(crate) fn after_diamond(cells: &[u64], c: u64) -> Vec<u64> {
    cells.iter().map(|x| 16 * x + 5 * c + 3).collect()
}

impl Stand {
    /// On the default platform.
    pub(crate) fn open() -> Self {
        Self::open_on(PlatformName::default())
    }

    /// On a platform.
    pub(crate) fn open_on(platform: PlatformName) -> Self {
        Self::of(open_on(platform))
    }

    /// With a worker that is open.
    pub(crate) fn of(worker: Worker) -> Self {
        let handle = worker.register(&player_for(worker.platform().chip())).unwrap();
        Self { worker, handle }
    }

    /// Runs a script.
    #[track_caller]
    pub(crate) fn play(&self, script: &Script, cells: &mut [u64]) -> Played {
        script.run(&self.worker, &self.handle, &config(), cells)
    }

    /// Runs the graph that is right.
    #[track_caller]
    pub(crate) fn assert_works(&self, c: u64) -> RunReport {
        let before: Vec<u64> = (0..COUNT).map(|cell| 1000 * c + cell).collect();
        let mut cells = before.clone();
        let report = self.play(&diamond(c), &mut cells).result.unwrap();
        assert_eq!(cells, after_diamond(&before, c));
        assert_eq!(report.tasks, 3);
        report
    }

    /// Runs a script that must fail, between two graphs that are right: it leaves what the caller has
    /// passed, and the device has not more than before.
    #[track_caller]
    pub(crate) fn refused(&self, script: &Script) -> RunError {
        // Twice, as a graph that changes needs memory for what has changed.
        self.assert_works(7);
        self.assert_works(8);
        let usage = self.worker.usage();
        let error = self.play(script, &mut [SENTINEL; COUNT as usize]).result.unwrap_err();
        assert_eq!(self.worker.usage(), usage, "after {error}");
        self.assert_works(9);
        assert_eq!(self.worker.usage(), usage);
        error
    }

    /// The call for which a script is refused.
    #[track_caller]
    pub(crate) fn refused_call(&self, script: &Script) -> CallError {
        match self.refused(script) {
            RunError::Build(BuildError::Call(call)) => call,
            other => panic!("expected a call that is refused, got {other:?}"),
        }
    }
}
