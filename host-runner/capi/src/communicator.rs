//! Communicators of this process, and their windows, which all contexts of the library reach.
//!
//! ```text
//!  comm_alloc_windows ──▶ WINDOWS ──▶ each context, when it is next used or told to look
//!  comm_destroy       ──▶ taken out ──▶ each context, before the call returns
//! ```
//!
//! The calls on communicators name no context (spec callable §2), so windows belong to all of them:
//! those that have a device now, and those that get one, or another one, later.

use std::sync::{Arc, Mutex, OnceLock};

use host_runner::comm::{ProcessGroup, RankMemory};

use crate::context::lock;
use crate::failure::Failure;
use crate::handles::CONTEXTS;

/// The windows of all communicators of this process.
static WINDOWS: Mutex<Listed> = Mutex::new(Listed { version: 0, all: Vec::new() });

/// What there is, and how often it has changed.
#[derive(Debug)]
struct Listed {
    version: u64,
    all: Vec<Arc<RankMemory>>,
}

/// One communicator of a client.
#[derive(Debug)]
pub(crate) struct Communicator {
    /// `None` once it was destroyed. Whoever waits for the other ranks holds it.
    group: Mutex<Option<ProcessGroup>>,
    /// Apart from the group, to be asked for while it waits.
    windows: OnceLock<Arc<RankMemory>>,
}

impl Communicator {
    /// One without windows.
    pub(crate) fn new(group: ProcessGroup) -> Self {
        Self { group: Mutex::new(Some(group)), windows: OnceLock::new() }
    }

    /// Makes the windows together with the other ranks, and lets all contexts reach them.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<Arc<RankMemory>, Failure> {
        let memory = {
            let mut group = lock(&self.group);
            let group = group.as_mut().ok_or_else(destroyed)?;
            Arc::clone(group.windows(bytes).map_err(|error| Failure::of(&error))?)
        };
        change(|all| all.push(Arc::clone(&memory)));
        // Set before by nobody: the group makes windows once.
        Ok(Arc::clone(self.windows.get_or_init(|| memory)))
    }

    /// The windows.
    pub(crate) fn windows(&self) -> Result<&Arc<RankMemory>, Failure> {
        let none = "the communicator has no windows yet; call comm_alloc_windows first";
        self.windows.get().ok_or_else(|| Failure::refused(none))
    }

    /// Waits for the other ranks.
    pub(crate) fn barrier(&self) -> Result<(), Failure> {
        let mut group = lock(&self.group);
        let group = group.as_mut().ok_or_else(destroyed)?;
        group.barrier().map_err(|error| Failure::of(&error))
    }

    /// Waits for the other ranks, if there are windows, and gives those up.
    pub(crate) fn destroy(&self) -> Result<(), Failure> {
        let group = lock(&self.group).take().ok_or_else(destroyed)?;
        let left = group.leave();
        if let Some(memory) = self.windows.get() {
            change(|all| all.retain(|it| !Arc::ptr_eq(it, memory)));
        }
        left.map_err(|error| Failure::of(&error))
    }
}

/// The windows of all communicators, if they have changed since `version`, which is brought up to
/// date.
pub(crate) fn newer_than(version: &mut u64) -> Option<Vec<Arc<RankMemory>>> {
    let listed = lock(&WINDOWS);
    if *version == listed.version {
        return None;
    }
    *version = listed.version;
    Some(listed.all.clone())
}

/// Changes which windows there are, and has all contexts look.
fn change(change: impl FnOnce(&mut Vec<Arc<RankMemory>>)) {
    {
        let mut listed = lock(&WINDOWS);
        change(&mut listed.all);
        listed.version += 1;
    }
    for context in CONTEXTS.all() {
        context.look_at_windows();
    }
}

fn destroyed() -> Failure {
    Failure::refused("the communicator is being destroyed")
}
