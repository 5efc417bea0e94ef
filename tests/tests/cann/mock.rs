//! An installation of the mock, and what a test asks it.

use std::cell::Cell;
use std::ffi::CString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use host_runner::callable::Callable;
use host_runner::compile::Machine as Processor;
use host_runner::device::RingConfig;
use host_runner::device::cann::CannConfig;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, Worker, WorkerConfig, WorkerError};
use libloading::os::unix::Library;
use stand_in::Machine;
use tempfile::TempDir;
use tests::sources::{callable_for, cell_kernels_for};
use tests::workers::{Cells, SENTINEL};
use tests::{c_library, child};

/// Names the folder with the AICPU programs of this machine.
const IMAGES: &str = "CANN_TEST_IMAGES";

/// What is to happen to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    Fail(i32),
    Hang,
    Pretend,
}

/// An installation: libraries and programs, as they are looked for.
pub(crate) struct Installed {
    folder: TempDir,
    library: Library,
    chip: PlatformName,
    is_forgiven: Cell<bool>,
}

/// Does `act` with an installation, in a process of its own, and sees that no rule was broken.
#[track_caller]
pub(crate) fn alone(test: &str, chip: PlatformName, act: impl FnOnce(&Installed)) {
    if child::is_child(test) {
        let installed = Installed::new(chip);
        act(&installed);
        if !installed.is_forgiven.get() {
            assert_eq!(installed.violations(), "");
        }
        assert_eq!(installed.live(), 0, "allocations and streams that are left");
        return;
    }
    // Built once, here, and not in each of the processes.
    static BUILT: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
        let image = Machine::Native.image(stand_in::Chip::A2a3, "onboard").unwrap();
        let images = image.ancestors().nth(3).unwrap().to_owned();
        (Machine::Native.daemon().unwrap(), images)
    });
    let (daemon, images) = &*BUILT;
    let mut command = child::command(test);
    command.env("MOCK_CANN_DAEMON", daemon).env(IMAGES, images).stdin(Stdio::null());
    print!("{}", child::passed(test, command.output().unwrap()));
}

/// A folder in which the libraries are `library` under their names.
pub(crate) fn home_with(library: &Path) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("lib64");
    std::fs::create_dir(&folder).unwrap();
    for name in ["libascendcl.so", "libruntime.so", "libascend_hal.so"] {
        symlink(library, folder.join(name)).unwrap();
    }
    home
}

impl Installed {
    fn new(chip: PlatformName) -> Self {
        let mock = c_library::path("mock_cann");
        let folder = home_with(&mock);
        let built = PathBuf::from(std::env::var_os(IMAGES).unwrap());
        symlink(&built, folder.path().join(built.file_name().unwrap())).unwrap();
        for chip in PlatformName::CHIPS {
            let cores = folder.path().join("aicore").join(chip.name());
            std::fs::create_dir_all(&cores).unwrap();
            // The mock wants an ELF file; what is in it, the stand-in's cores know.
            symlink(&mock, cores.join("aicore.o")).unwrap();
        }
        // SAFETY: it does nothing when it is opened.
        let library = unsafe { Library::open(Some(&mock), libloading::os::unix::RTLD_NOW) };
        Self { folder, library: library.unwrap(), chip, is_forgiven: Cell::new(false) }
    }

    /// Settings for a device.
    pub(crate) fn config(&self) -> WorkerConfig {
        let folder = Some(self.folder.path().to_owned());
        let rings = RingConfig { task_window: 64, heap_bytes: 1 << 16, dep_pool: 0 };
        let aicpu_machine = Processor::native();
        WorkerConfig::new(self.chip).with_rings(rings).with_cann(CannConfig {
            home: folder.clone(),
            aicpu_images: folder,
            aicpu_machine,
            device: 0,
        })
    }

    /// Opens a worker.
    pub(crate) fn open(&self) -> Result<Worker, WorkerError> {
        Worker::open(self.config())
    }

    /// Plans something for the `nth` call of a function from now on, from 1.
    pub(crate) fn plan(&self, name: &str, nth: u64, plan: Plan) {
        let (kind, code) = match plan {
            Plan::Fail(code) => (0, code),
            Plan::Hang => (1, 0),
            Plan::Pretend => (2, 0),
        };
        let name = CString::new(name).unwrap();
        type Function = unsafe extern "C" fn(*const std::ffi::c_char, u64, i32, i32);
        // SAFETY: the function of this name has this signature.
        unsafe {
            self.library.get::<Function>(b"mock_cann_plan").unwrap()(name.as_ptr(), nth, kind, code)
        };
    }

    /// Initialises the interface, as somebody else of the process would.
    pub(crate) fn initialise(&self) {
        type Function = unsafe extern "C" fn(*const std::ffi::c_char) -> i32;
        // SAFETY: the function of this name has this signature; null asks for the default settings.
        let code = unsafe { self.library.get::<Function>(b"aclInit").unwrap()(std::ptr::null()) };
        assert_eq!(code, 0);
    }

    /// Forgets what was planned and has not come about.
    pub(crate) fn unplan(&self) {
        // SAFETY: the function of this name has this signature.
        unsafe { self.library.get::<unsafe extern "C" fn()>(b"mock_cann_unplan").unwrap()() };
    }

    /// How often a function was called.
    pub(crate) fn calls(&self, name: &str) -> u64 {
        let name = CString::new(name).unwrap();
        type Function = unsafe extern "C" fn(*const std::ffi::c_char) -> u64;
        // SAFETY: the function of this name has this signature.
        unsafe { self.library.get::<Function>(b"mock_cann_calls").unwrap()(name.as_ptr()) }
    }

    /// Has broken rules count for nothing in the end: the test has looked at them.
    pub(crate) fn forgive(&self) {
        self.is_forgiven.set(true);
    }

    /// Allocations and streams that there are.
    pub(crate) fn live(&self) -> u64 {
        // SAFETY: the function of this name has this signature.
        unsafe { self.library.get::<unsafe extern "C" fn() -> u64>(b"mock_cann_live").unwrap()() }
    }

    /// Kills the chip's server.
    pub(crate) fn kill(&self) {
        // SAFETY: the function of this name has this signature.
        unsafe { self.library.get::<unsafe extern "C" fn()>(b"mock_cann_kill").unwrap()() };
    }

    /// The rules that were broken.
    pub(crate) fn violations(&self) -> String {
        type Function = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let mut text = vec![0; 1 << 16];
        // SAFETY: the function of this name has this signature, and there is so much room.
        let bytes = unsafe {
            self.library.get::<Function>(b"mock_cann_violations").unwrap()(
                text.as_mut_ptr(),
                text.len(),
            )
        };
        text.truncate(bytes);
        String::from_utf8(text).unwrap()
    }
}

/// A callable of two tasks, without anything of the C++ library, which the AICPU program does not offer.
pub(crate) fn adding(chip: PlatformName) -> Callable {
    callable_for(chip.chip(), "runs", "adds", cell_kernels_for(chip.chip()))
}

/// Runs [`adding`] and compares what comes of it.
///
/// # Errors
///
/// As [`Worker::run`].
pub(crate) fn add(
    worker: &Worker,
    handle: &CallableHandle,
    first: u64,
    config: &RunConfig,
) -> Result<(), RunError> {
    let input: Vec<u64> = (0..16).map(|cell| 1000 + 7 * cell).collect();
    let mut passed = Cells { input, cells: vec![SENTINEL; 16], scalars: vec![first] };
    let report = passed.run(worker, handle, config)?;
    let expected: Vec<u64> = (0..16).map(|cell| 1000 + 7 * cell + first + cell).collect();
    assert_eq!((passed.cells, report.tasks), (expected, 2));
    Ok(())
}

/// Registers, runs and unregisters: whatever happened before, the worker gives the right result.
#[track_caller]
pub(crate) fn assert_works(worker: &Worker) {
    let handle = worker.register(&adding(worker.platform())).unwrap();
    add(worker, &handle, 9, &brief(3)).unwrap();
    worker.unregister(&handle).unwrap();
}

/// Settings of a run that has few cores, as a small machine likes it, and ends soon if it hangs.
pub(crate) fn brief(aicpu_threads: u32) -> RunConfig {
    RunConfig {
        block_dim: 2,
        aicpu_threads,
        timeout: Duration::from_secs(20),
        grace: Duration::from_secs(1),
        ..RunConfig::default()
    }
}
