//! A slot of every kind that memory for images comes in, as far as this system has it.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use aicpu_linux::{ReleasedRights, Slot, SlotConfig, SlotMode, WriterView};

/// Names and settings of all kinds.
const KINDS: [(&str, SlotMode, WriterView, ReleasedRights); 6] = [
    ("dual-mapped", SlotMode::DualMapped, WriterView::Hidden, ReleasedRights::Stay),
    ("dual-mapped, writer kept", SlotMode::DualMapped, WriterView::Kept, ReleasedRights::Stay),
    ("dual-mapped, revoked", SlotMode::DualMapped, WriterView::Hidden, ReleasedRights::Revoked),
    ("anonymous", SlotMode::Anonymous, WriterView::Hidden, ReleasedRights::Stay),
    ("anonymous, revoked", SlotMode::Anonymous, WriterView::Hidden, ReleasedRights::Revoked),
    ("staged", SlotMode::Staged, WriterView::Hidden, ReleasedRights::Stay),
];

/// Memory that a slot keeps warm: less than large images need, so that some of it is given back.
/// What is kept counts as resident, twice where it is mapped twice.
const RETAIN_BYTES: usize = 256 << 10;

/// The system's folder for temporary files, for as long as the program runs.
fn folders() -> &'static [&'static CStr] {
    static FOLDERS: OnceLock<[&'static CStr; 1]> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let path = CString::new(std::env::temp_dir().into_os_string().into_vec());
        [Box::leak(path.expect("a path has no NUL").into_boxed_c_str())]
    })
}

/// Returns the slots with the names of their kinds; at least one.
pub fn slots() -> Vec<(&'static str, Slot)> {
    let mut all = Vec::new();
    for (name, mode, writer, released) in KINDS {
        let config = SlotConfig {
            mode,
            writer,
            released,
            retain_bytes: RETAIN_BYTES,
            folders: folders(),
            ..SlotConfig::DEFAULT
        };
        match Slot::standalone(config) {
            Ok(slot) if slot.mode().is_some() => all.push((name, slot)),
            Ok(_) => println!("no {name} slot on this system"),
            Err(error) => println!("no {name} slot: {error}"),
        }
    }
    assert!(!all.is_empty(), "no kind of slot works");
    all
}
