//! This project's loader: plan, commit, constructors, destructors, as the executor does it.
//!
//! The methods differ only in where the code goes. Unwind tables are registered while the code is
//! there, since the executor does that too; the crate that it is compared with does not.
//!
//! | method | memory |
//! |---|---|
//! | `ours_cold` | a slot of private memory that has no pages before a load, nor after it |
//! | `ours_cold_dual` | the same with shared memory that is written through its file |
//! | `ours_cold_mapped` | address space for one slot is reserved for the load, and given back |
//! | `ours_warm_anonymous` | private memory that stays; only rights change |
//! | `ours_warm_changed` | two views, the writer's stays; each image has other rights than the last |
//! | `ours_warm_changed_hidden` | the same, but written through its file: no view of code is writable |
//! | `ours_warm_hidden` | as before, and each image has the rights of the last |
//! | `ours_warm_same` | the same, and the writer's view stays |
//! | `ours_rotation` | as before, in 64 slots in turn |
//! | `ours_staged` | maps of a file that is written for the load, and removed at once |
//! | `ours_file` | maps of a sealed file in memory that lies ready |

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aicpu_executor::loader::{CodeMemory, LoadedImage, Machine, PlanLimits, commit, plan};
use aicpu_linux::{FileSlot, SealedImage, Slot, SlotArena, SlotConfig, SlotMode, WriterView};
use anyhow::{Context, Result, anyhow};
use host_runner::device::resident_symbols::ResidentSymbols;

use protocol::{CallableId, MAX_REGISTERED_CALLABLE_IDS};

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::source::{Answers, EXPORTS};

unsafe extern "C" {
    /// Makes unwind tables known (libgcc).
    fn __register_frame(tables: *const c_void);
    /// Takes that back.
    fn __deregister_frame(tables: *const c_void);
}

/// Images in turn, through slots in turn.
pub(crate) struct Ours<'f> {
    name: &'static str,
    images: Vec<&'f Fixture>,
    slots: Slots,
    loads: usize,
}

/// Where code goes.
enum Slots {
    /// A slot for each load.
    Fresh(SlotConfig),
    /// The same slot again and again.
    One(Box<Slot>),
    /// All slots of an arena in turn.
    All(Box<SlotArena>),
    /// A slot for one image, which is a file.
    File(&'static SealedImage, Box<FileSlot<'static>>),
}

/// Two views that stay mapped and keep the memory of the largest image that is measured.
const WARM: SlotConfig = SlotConfig {
    mode: SlotMode::DualMapped,
    writer: WriterView::Kept,
    retain_bytes: 16 << 20,
    ..SlotConfig::DEFAULT
};

/// The same memory without the writer's view: it is written through its file.
const HIDDEN: SlotConfig = SlotConfig { writer: WriterView::Hidden, ..WARM };

/// The same, and its memory is given back after each image.
const COLD: SlotConfig = SlotConfig { retain_bytes: 0, ..HIDDEN };

/// Makes private memory of a kind of slot.
const fn private(config: SlotConfig) -> SlotConfig {
    SlotConfig { mode: SlotMode::Anonymous, ..config }
}

impl<'f> Ours<'f> {
    /// All methods for the small image; `other` has other rights of pages.
    ///
    /// # Errors
    ///
    /// The system does not give a slot.
    pub(crate) fn small(
        fixture: &'f Fixture,
        other: &'f Fixture,
        folder: &Path,
    ) -> Result<Vec<Self>> {
        let fresh = Slots::Fresh(private(SlotConfig::DEFAULT));
        let arena = Slots::All(Box::new(SlotArena::new(WARM)));
        let mut methods = Self::big(fixture, folder)?;
        methods.extend([
            Self::new("ours_cold_mapped", &[fixture], fresh),
            Self::new("ours_warm_changed", &[fixture, other], one(WARM)?),
            Self::new("ours_warm_changed_hidden", &[fixture, other], one(HIDDEN)?),
            Self::new("ours_rotation", &[fixture], arena),
        ]);
        Ok(methods)
    }

    /// The methods for the big image: one slot, one image. Staged files are made in `folder`.
    ///
    /// # Errors
    ///
    /// The system does not give a slot.
    pub(crate) fn big(fixture: &'f Fixture, folder: &Path) -> Result<Vec<Self>> {
        let mut methods = Self::main(fixture)?;
        methods.extend([
            Self::new("ours_cold_dual", &[fixture], one(COLD)?),
            Self::new("ours_warm_anonymous", &[fixture], one(private(WARM))?),
            Self::new("ours_staged", &[fixture], one(staged(folder)?)?),
            Self::new("ours_file", &[fixture], file(fixture)?),
        ]);
        Ok(methods)
    }

    /// Those that tell most.
    ///
    /// # Errors
    ///
    /// The system does not give a slot.
    pub(crate) fn main(fixture: &'f Fixture) -> Result<Vec<Self>> {
        Ok(vec![
            Self::new("ours_cold", &[fixture], one(private(COLD))?),
            Self::new("ours_warm_hidden", &[fixture], one(HIDDEN)?),
            Self::same(fixture)?,
        ])
    }

    /// The one without system calls.
    ///
    /// # Errors
    ///
    /// The system does not give a slot.
    pub(crate) fn same(fixture: &'f Fixture) -> Result<Self> {
        Ok(Self::new("ours_warm_same", &[fixture], one(WARM)?))
    }

    fn new(name: &'static str, images: &[&'f Fixture], slots: Slots) -> Self {
        Self { name, images: images.to_vec(), slots, loads: 0 }
    }
}

/// Slots whose images go through files of `folder`.
fn staged(folder: &Path) -> Result<SlotConfig> {
    let folder = CString::new(folder.as_os_str().as_bytes()).context("a folder with a NUL")?;
    // A slot's folders are constants of a platform; there are a few of these in a bench.
    let folders = vec![&*Box::leak(folder.into_boxed_c_str())];
    Ok(SlotConfig { mode: SlotMode::Staged, folders: folders.leak(), ..SlotConfig::DEFAULT })
}

/// A slot that maps one image, which is sealed before anything is timed.
fn file(fixture: &Fixture) -> Result<Slots> {
    let image = SealedImage::new(&fixture.bytes).map_err(|error| anyhow!("{error}"))?;
    // The slot borrows it; both stay until the bench ends.
    let image: &'static SealedImage = Box::leak(Box::new(image));
    let slot = FileSlot::new(image, SlotConfig::DEFAULT).map_err(|error| anyhow!("{error}"))?;
    Ok(Slots::File(image, Box::new(slot)))
}

/// One slot outside any arena.
fn one(config: SlotConfig) -> Result<Slots> {
    let slot = Slot::standalone(config).map_err(|error| anyhow!("{error}"))?;
    Ok(Slots::One(Box::new(slot)))
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
        match &mut self.slots {
            Slots::Fresh(config) => {
                let slot = Slot::standalone(*config).map_err(|error| anyhow!("{error}"));
                load(&fixture.bytes, &mut slot?, visit)
            }
            Slots::One(slot) => load(&fixture.bytes, slot.as_mut(), visit),
            Slots::File(image, slot) => load(image.as_bytes(), slot.as_mut(), visit),
            Slots::All(arena) => {
                // CAST: a remainder of 64.
                let id = CallableId::new((self.loads % MAX_REGISTERED_CALLABLE_IDS) as i64);
                let id = id.map_err(|error| anyhow!("{error:?}"))?;
                load(&fixture.bytes, &mut *arena.slot(id).lock(), visit)
            }
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
