//! Shows loaded orchestrations to debuggers and profilers. Off, and free, unless it is asked for.
//!
//! Such tools find code through the system's loader, which knows nothing of what the executor
//! loads: without help, a back-trace through an orchestration ends in question marks.
//!
//! ```text
//!  code was sealed ──▶ its functions ─┬─▶ a small ELF object in memory ──▶ the list that gdb follows
//!                                     └─▶ lines of a text file ──────────▶ perf report
//!  code goes away ───────────────────────▶ off the list (the text file cannot take back)
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aicpu_executor::loaded_code::{LoadedCode, LoadedRange};
use protocol::CallableId;

mod functions;
#[expect(
    unsafe_code,
    reason = "the list is shared with a debugger, which reads it as C structures"
)]
mod gdb_list;
mod object;
mod perf_map;

use gdb_list::Registration;
use perf_map::PerfMap;

pub use perf_map::PerfMapError;

/// Which tools loaded code is shown to.
///
/// With any of them, code goes into private memory, where breakpoints can be set: loading takes
/// longer then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeListing {
    /// gdb, by its JIT interface: function names, and back-traces through them. gdb slows down
    /// with each object, so this is for debugging only.
    pub gdb: bool,
    /// perf, by a map `perf-PID.map` in this folder; perf itself looks into `/tmp`.
    pub perf_map: Option<PathBuf>,
}

/// Shows the code of one worker's devices as it comes and goes.
#[derive(Debug)]
pub struct CodeLister {
    gdb: bool,
    perf_map: Option<PerfMap>,
    state: Mutex<State>,
}

/// What changes with every callable.
#[derive(Debug, Default)]
struct State {
    /// Names of the registered callables by id and generation.
    names: HashMap<(CallableId, u32), String>,
    /// What gdb was told, by the address of the code: a lost device's stays where it is, and is
    /// not mixed up with that of the one in its place.
    registrations: HashMap<u64, Registration>,
}

impl CodeLister {
    /// Gets ready to show code; `None` if it is to be shown to nobody.
    ///
    /// # Errors
    ///
    /// [`PerfMapError`] where the map cannot be written.
    pub fn open(listing: &CodeListing) -> Result<Option<Arc<Self>>, PerfMapError> {
        let perf_map = listing.perf_map.as_deref().map(PerfMap::open).transpose()?;
        let is_wanted = listing.gdb || perf_map.is_some();
        let lister = Self { gdb: listing.gdb, perf_map, state: Mutex::default() };
        Ok(is_wanted.then(|| Arc::new(lister)))
    }

    /// Whether gdb is one of those that code is shown to.
    pub fn lists_for_gdb(&self) -> bool {
        self.gdb
    }

    /// Says what a callable is called. Without that its code is listed under its id.
    pub fn name(&self, id: CallableId, generation: u32, name: &str) {
        self.state().names.insert((id, generation), name.to_owned());
    }

    /// Takes back [`name`](Self::name).
    pub fn forget(&self, id: CallableId, generation: u32) {
        self.state().names.remove(&(id, generation));
    }

    /// Shows code that was just sealed.
    pub fn loaded(&self, code: &LoadedCode<'_>) {
        let LoadedRange { id, generation, base, bias, .. } = code.range;
        let mut state = self.state();
        let known = state.names.get(&(id, generation)).cloned();
        let name = known.unwrap_or_else(|| format!("callable_{id}"));
        let functions = functions::listed(code.plan, bias);
        if let Some(perf_map) = &self.perf_map {
            perf_map.append(&name, &functions);
        }
        if self.gdb {
            let object = object::build(&name, code.plan, bias, &functions);
            // An address that is listed already was given up by a device that was lost.
            state.registrations.insert(base, Registration::new(object));
        }
    }

    /// Takes code off the lists before it goes away.
    pub fn unloading(&self, range: &LoadedRange) {
        self.state().registrations.remove(&range.base);
    }

    /// Number of pieces of code on gdb's list.
    #[cfg(test)]
    pub(crate) fn listed_for_gdb(&self) -> usize {
        self.state().registrations.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
