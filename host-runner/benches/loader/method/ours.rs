//! This project's loader: plan, commit, constructors, destructors, as the executor does it.
//!
//! The methods differ only in where the code goes. Unwind tables are registered while the code is
//! there, since the executor does that too; the crate that it is compared with does not.
//!
//! | method | memory |
//! |---|---|
//! | `ours_cold` | mapped for the load, unmapped after it |

use std::ffi::c_void;

use aicpu_executor::loader::{CodeMemory, LoadedImage, Machine, PlanLimits, commit, plan};
use aicpu_linux::LinuxCodeMemory;
use anyhow::{Context, Result, anyhow};
use host_runner::device::resident_symbols::ResidentSymbols;

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::source::{Answers, EXPORTS};

unsafe extern "C" {
    /// Makes unwind tables known (libgcc).
    fn __register_frame(tables: *const c_void);
    /// Takes that back.
    fn __deregister_frame(tables: *const c_void);
}

/// Images in turn, through memory in turn.
pub(crate) struct Ours<'f> {
    name: &'static str,
    images: Vec<&'f Fixture>,
    memory: Memory,
    loads: usize,
}

/// Where code goes.
enum Memory {
    /// A mapping for each load.
    Fresh,
}

impl<'f> Ours<'f> {
    /// Fresh memory for each load.
    pub(crate) fn cold(fixture: &'f Fixture) -> Self {
        Self::new("ours_cold", vec![fixture], Memory::Fresh)
    }

    fn new(name: &'static str, images: Vec<&'f Fixture>, memory: Memory) -> Self {
        Self { name, images, memory, loads: 0 }
    }
}

impl Method for Ours<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// The first of the images; if there are more, they are of the same source.
    fn image(&self) -> &'static str {
        self.images.first().map_or("", |fixture| fixture.image)
    }

    fn expected(&self) -> Option<Answers> {
        self.images.first().map(|fixture| fixture.answers)
    }

    fn load(&mut self, visit: &mut dyn FnMut(&Exports)) -> Result<()> {
        let fixture = self.images.get(self.loads % self.images.len()).context("no image")?;
        self.loads += 1;
        match &mut self.memory {
            Memory::Fresh => load(&fixture.bytes, &mut LinuxCodeMemory::new(), visit),
        }
    }
}

/// One whole life of an image in `memory`.
fn load(image: &[u8], memory: &mut dyn CodeMemory, visit: &mut dyn FnMut(&Exports)) -> Result<()> {
    let limits = PlanLimits { page_bytes: memory.page_bytes(), ..PlanLimits::default() };
    let plan = plan(image, Machine::native(), &limits).map_err(|error| anyhow!("{error}"))?;
    let mut exports = [None; 3];
    for (export, name) in exports.iter_mut().zip(EXPORTS) {
        let found = plan.exported_function(name.as_bytes());
        *export = Some(found.map_err(|error| anyhow!("`{name}`: {error}"))?);
    }
    let loaded =
        commit(&plan, memory, ResidentSymbols::open()).map_err(|error| anyhow!("{error}"))?;
    let mut functions = [core::ptr::null(); 3];
    for (function, export) in functions.iter_mut().zip(&exports) {
        *function = loaded.pointer_to(export.as_ref().context("found above")?);
    }
    let unwind = Unwind::register(&loaded);
    // SAFETY: a fixture for this machine, just committed; its tables are registered.
    unsafe { loaded.run_init() };
    // SAFETY: the exports of a fixture that is initialised and stays until the next line.
    visit(&unsafe { Exports::new(functions) });
    // SAFETY: initialised above; nobody uses its functions any more.
    unsafe { loaded.run_fini() };
    drop(unwind);
    memory.release();
    Ok(())
}

/// Unwind tables that are known as long as this is there.
struct Unwind(Option<*const c_void>);

impl Unwind {
    fn register(image: &LoadedImage) -> Self {
        let tables = image.eh_frame().filter(|tables| tables.frame_bytes.is_some());
        // CAST: usize is 64 bits on the supported targets.
        let tables = tables.map(|tables| core::ptr::with_exposed_provenance(tables.frame as usize));
        if let Some(tables) = tables {
            // SAFETY: tables with an end mark, of code that is just sealed.
            unsafe { __register_frame(tables) };
        }
        Self(tables)
    }
}

impl Drop for Unwind {
    fn drop(&mut self) {
        if let Some(tables) = self.0 {
            // SAFETY: registered once, and still there.
            unsafe { __deregister_frame(tables) };
        }
    }
}
