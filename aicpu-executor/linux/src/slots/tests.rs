//! The slots against the kernel: what it shows of their memory, and how often it was asked.

mod faulty_code_files;
mod faulty_files;
mod image;
mod instances;
mod layouts;
mod life;
mod maps;
mod refusals;
mod sealed;
mod staging;
mod system_limits;
mod written;
mod written_limits;

use core::ffi::CStr;
use std::boxed::Box;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;
use std::string::{String, ToString};
use std::sync::OnceLock;
use std::vec::Vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, Plan};

use super::{Slot, SlotConfig, SlotMode, WriterView};

/// Every way of getting an image into a slot, the folder of staged files included.
fn all_ways() -> [SlotConfig; 4] {
    let of = |mode, writer| SlotConfig { mode, writer, ..SlotConfig::DEFAULT };
    [
        of(SlotMode::DualMapped, WriterView::Hidden),
        of(SlotMode::DualMapped, WriterView::Kept),
        of(SlotMode::Anonymous, WriterView::Hidden),
        SlotConfig { folders: any_folder(), ..of(SlotMode::Staged, WriterView::Hidden) },
    ]
}

/// The system's folder for temporary files, for as long as the tests run.
fn any_folder() -> &'static [&'static CStr] {
    static FOLDERS: OnceLock<Vec<&'static CStr>> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let path = CString::new(std::env::temp_dir().into_os_string().into_vec()).unwrap();
        std::vec![Box::leak(path.into_boxed_c_str())]
    })
}

fn slot(config: SlotConfig) -> Slot {
    Slot::standalone(config).unwrap_or_else(|error| panic!("{config:?}: {error}"))
}

/// Runs the test `name` once more, alone in a process of its own; tells whether this is it.
///
/// `launcher` is a shell command that prepares something and runs `"$@"`; it ends with 77 if this
/// system does not let it prepare. The test is skipped then, and says so.
fn is_alone(name: &str, launcher: &str) -> bool {
    const CHILD: &str = "SLOTS_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let child = Command::new("sh")
        .args(["-c", launcher, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &std::format!("slots::tests::{name}"), "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = [child.stdout, child.stderr].map(|text| String::from_utf8_lossy(&text).to_string());
    if child.status.code() == Some(77) {
        std::println!("skipped: this system does not allow it: {text:?}");
    } else {
        assert!(child.status.success() && text[0].contains("1 passed"), "{text:?}");
    }
    false
}

/// Loads an image and returns its address.
fn load(memory: &mut dyn CodeMemory, plan: &Plan<'_>) -> Result<u64, MemoryError> {
    let base = memory.place(plan)?;
    memory.seal(plan)?;
    Ok(base)
}

/// Calls code as a function without arguments.
fn call(address: u64) -> i32 {
    let code = core::ptr::with_exposed_provenance::<()>(address as usize);
    // SAFETY: the tests put a function of this type there, and sealed it.
    let function = unsafe { core::mem::transmute::<*const (), extern "C" fn() -> i32>(code) };
    function()
}

/// Reads bytes of a loaded image, at the address that its code sees.
fn read(address: u64, bytes: usize) -> Vec<u8> {
    let start = core::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: the tests read readable pages of images that are loaded, and nothing writes to them.
    unsafe { core::slice::from_raw_parts(start, bytes) }.to_vec()
}
