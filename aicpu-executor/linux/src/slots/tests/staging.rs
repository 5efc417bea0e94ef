//! Staged slots: nothing stays behind, whatever fails, and nobody's file is followed or trusted.

use core::ffi::CStr;
use std::boxed::Box;
use std::ffi::CString;
use std::format;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::{MemoryError, MemoryOperation, StagingStep};
use rustix::io::Errno;
use rustix::param::page_size;
use tempfile::TempDir;

use super::super::region::Region;
use super::super::rights::Rights;
use super::super::staged::Staged;
use super::super::staging_files::{LinuxFiles, StagingFiles};
use super::super::view::Pieces;
use super::faulty_files::{Fault, FaultyFiles};
use super::image::{Built, Piece, build};
use super::{call, read};

/// A list of folders for the rest of the process.
pub(super) fn folders(paths: &[&Path]) -> &'static [&'static CStr] {
    let leak = |path: &&Path| -> &'static CStr {
        Box::leak(CString::new(path.as_os_str().as_bytes()).unwrap().into_boxed_c_str())
    };
    Box::leak(paths.iter().map(leak).collect::<Vec<_>>().into_boxed_slice())
}

/// A staged slot with these files and folders, for callable id 5.
fn staged<F: StagingFiles>(files: F, paths: &[&Path]) -> Staged<F> {
    let bytes = Pieces::region_bytes(1, 128 << 10);
    let view = Pieces::new(Region::anonymous(bytes).unwrap(), 1, 128 << 10).next().unwrap();
    Staged::new(view, Some(5), folders(paths), files)
}

/// Code that returns `number`, read-only data and writable data.
fn program(number: u16) -> Built {
    let data = Piece { zeros: 6000, ..Piece::new(6, &[0xAA; 5000]) };
    build(&[Piece::code(number), Piece::new(4, &[1; 9000]), data], None)
}

/// The name of the file.
fn name() -> String {
    format!("libdevice_orch_{}_5.so", std::process::id())
}

fn entries(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    fs::read_dir(folder).unwrap().map(|each| name(each).to_string_lossy().to_string()).collect()
}

/// Places and seals an image, calls its code, and takes it away.
fn run<F: StagingFiles>(slot: &mut Staged<F>, image: &Built) -> Result<i32, MemoryError> {
    let base = slot.place(&image.plan())?;
    slot.seal(&Rights::of(&image.plan().pages(), page_size()).unwrap())?;
    let data = read(base + image.starts[2] as u64, 11_000);
    assert!(data[..5000].iter().all(|byte| *byte == 0xAA));
    assert!(data[5000..].iter().all(|byte| *byte == 0));
    let value = call(base + image.starts[0] as u64);
    slot.release();
    Ok(value)
}

/// The error of a step in a folder.
fn failed(step: StagingStep, folder: u8, os_error: i32, image: &Built) -> MemoryError {
    MemoryError {
        operation: MemoryOperation::Staging { step, folder },
        offset: 0,
        length: image.plan().span(),
        os_error,
    }
}

#[test]
fn a_staged_image_runs_from_a_file_that_is_private_while_it_is_there_and_then_gone() {
    let folder = TempDir::new().unwrap();
    let check = |file: &File| {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    };
    let mut slot = staged(FaultyFiles::new(4, Fault::Tamper(check)), &[folder.path()]);
    assert_eq!(run(&mut slot, &program(42)), Ok(42));
    let calls = slot.files().calls.borrow().join(" ");
    // Four segments are mapped, and what was read-only is compared, 4 KiB at a time.
    assert_eq!(calls, "open create write map map map map remove read read read read read");
    assert_eq!(*slot.files().names.borrow(), [name()]);
    assert_eq!(slot.files().failures.get(), 1);
    assert_eq!(run(&mut slot, &program(43)), Ok(43));
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn no_failure_of_any_call_leaves_a_file_or_a_broken_slot() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let image = program(7);
    let mut refusals = Vec::new();
    for error in [Errno::NOSPC, Errno::IO, Errno::PERM, Errno::INTR] {
        for turn in 1.. {
            let mut slot = staged(FaultyFiles::new(turn, Fault::Error(error)), &[first.path()]);
            let result = run(&mut slot, &image);
            assert_eq!(entries(first.path()), [""; 0], "call {turn}: {error}");
            if slot.files().failures.get() == 0 {
                assert_eq!(result, Ok(7));
                break;
            }
            if let Err(found) = result {
                assert_eq!(found.os_error, error.raw_os_error());
                refusals.push(found.operation);
            }
            // The fault was in one call; the slot is as good as new.
            assert_eq!(run(&mut slot, &image), Ok(7), "call {turn}: {error}");
            // With another folder, the first one's fault is none, unless somebody is at work.
            let faulty = FaultyFiles::new(turn, Fault::Error(error));
            let mut slot = staged(faulty, &[first.path(), second.path()]);
            let is_compared = slot_call(&slot_calls(&image), turn) == "read";
            assert_eq!(run(&mut slot, &image).is_ok(), !is_compared || error == Errno::INTR);
            assert_eq!([entries(first.path()), entries(second.path())], [[""; 0], [""; 0]]);
        }
    }
    let of = |step| MemoryOperation::Staging { step, folder: 0 };
    use StagingStep::{Compare, Create, Map, Open, Write};
    // An interrupted write or read is done again, and a name is removed at the second try.
    for (step, times) in [(Open, 4), (Create, 4), (Write, 3), (Map, 16), (Compare, 15)] {
        assert_eq!(refusals.iter().filter(|each| **each == of(step)).count(), times, "{step:?}");
    }
    assert_eq!(refusals.len(), 42);
}

/// The calls of a load in one folder without faults.
fn slot_calls(image: &Built) -> Vec<&'static str> {
    let folder = TempDir::new().unwrap();
    let mut slot = staged(FaultyFiles::default(), &[folder.path()]);
    run(&mut slot, image).unwrap();
    slot.files().calls.borrow().clone()
}

fn slot_call(calls: &[&'static str], turn: usize) -> &'static str {
    calls.get(turn - 1).copied().unwrap_or_default()
}

#[test]
fn s6_a_fault_that_lasts_is_an_error_of_its_step_and_leaves_nothing_in_the_slot() {
    let image = program(8);
    for (turn, fault, step, error) in [
        (3, Fault::Error(Errno::INTR), StagingStep::Write, Errno::INTR),
        (3, Fault::Nothing, StagingStep::Write, Errno::NOSPC),
        (4, Fault::Error(Errno::ACCESS), StagingStep::Map, Errno::ACCESS),
        (9, Fault::Error(Errno::INTR), StagingStep::Compare, Errno::INTR),
    ] {
        let folder = TempDir::new().unwrap();
        let mut slot = staged(FaultyFiles::new(turn, fault).lasting(), &[folder.path()]);
        assert_eq!(run(&mut slot, &image), Err(failed(step, 0, error.raw_os_error(), &image)));
        let data = image.starts[2];
        assert_eq!(slot.lend(data..data + 1), None);
        // Not even removing works; the next process with this number finds it and replaces it.
        let left = slot.files().calls.borrow().ends_with(&["remove", "remove"]);
        assert_eq!(entries(folder.path()), vec![name(); usize::from(left)]);
    }
}

#[test]
fn s6_short_writes_and_reads_are_continued() {
    let folder = TempDir::new().unwrap();
    for turn in [3, 9, 13] {
        let mut slot = staged(FaultyFiles::new(turn, Fault::Short), &[folder.path()]);
        assert_eq!(run(&mut slot, &program(9)), Ok(9));
        assert_eq!(slot.files().failures.get(), 1, "{turn}");
    }
}

/// Hostile class 31.
#[test]
fn s2_a_file_that_somebody_changes_is_an_error_and_not_loaded() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let image = program(10);
    let changed = |step, error| Err(failed(step, 0, error, &image));
    let compared = changed(StagingStep::Compare, 0);
    let (code, data) = (
        |file: &File| file.write_all_at(&[0xC3], page_size() as u64).unwrap(),
        |file: &File| file.write_all_at(&[0xAB], 5 * page_size() as u64).unwrap(),
    );
    let shorter = |file: &File| file.set_len(4 * page_size() as u64).unwrap();
    // Pages that are gone from the file cannot be copied when they are mapped.
    let gone = Errno::FAULT.raw_os_error();
    let (before_mapping, before_removing) = (4, 8);
    type Row = (fn(&File), usize, Result<i32, MemoryError>);
    let rows: [Row; 6] = [
        (code, before_mapping, compared),
        (code, before_removing, compared),
        (data, before_mapping, compared),
        // A copy was made before, and that is what was asked for.
        (data, before_removing, Ok(10)),
        (shorter, before_mapping, changed(StagingStep::Map, gone)),
        (shorter, before_removing, compared),
    ];
    for (tamper, turn, expected) in rows {
        let files = FaultyFiles::new(turn, Fault::Tamper(tamper));
        let mut slot = staged(files, &[folder.path()]);
        assert_eq!(run(&mut slot, &image), expected, "{turn}");
        assert_eq!(slot.files().failures.get(), 1);
        assert_eq!(run(&mut slot, &image), Ok(10));
        // Nobody who is at work in one folder is given a second chance in another.
        let files = FaultyFiles::new(turn, Fault::Tamper(tamper));
        let mut slot = staged(files, &[folder.path(), other.path()]);
        let is_fatal = expected == compared;
        assert_eq!(run(&mut slot, &image), if is_fatal { compared } else { Ok(10) });
        assert_eq!([entries(folder.path()), entries(other.path())], [[""; 0], [""; 0]]);
    }
}

#[test]
fn s2_folders_are_tried_in_order_and_links_are_not_followed() {
    let top = TempDir::new().unwrap();
    let path = |name: &str| top.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("file"), b"").unwrap();
    symlink(path("folder"), path("link")).unwrap();
    let image = program(11);
    for (name, error) in
        [("missing", Errno::NOENT), ("file", Errno::NOTDIR), ("link", Errno::NOTDIR)]
    {
        let mut slot = staged(LinuxFiles, &[&path(name)]);
        assert_eq!(
            run(&mut slot, &image),
            Err(failed(StagingStep::Open, 0, error.raw_os_error(), &image))
        );
        let mut slot = staged(LinuxFiles, &[&path(name), &path("folder")]);
        assert_eq!(run(&mut slot, &image), Ok(11), "{name}");
    }
    let mut slot = staged(LinuxFiles, &[]);
    assert_eq!(
        run(&mut slot, &image),
        Err(failed(StagingStep::Open, 0, Errno::NOENT.raw_os_error(), &image))
    );
    assert_eq!(entries(&path("folder")), [""; 0]);
}

#[test]
fn s5_a_stale_file_of_ours_is_replaced_and_whatever_else_has_the_name_is_left_alone() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let image = program(12);
    let taken = first.path().join(name());
    fs::write(&taken, b"stale").unwrap();
    let mut slot = staged(LinuxFiles, &[first.path()]);
    assert_eq!(run(&mut slot, &image), Ok(12));
    assert_eq!(entries(first.path()), [""; 0]);

    let victim = second.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    symlink(&victim, &taken).unwrap();
    let mut slot = staged(LinuxFiles, &[first.path()]);
    let in_use = failed(StagingStep::Create, 0, Errno::EXIST.raw_os_error(), &image);
    assert_eq!(run(&mut slot, &image), Err(in_use));
    let mut slot = staged(LinuxFiles, &[first.path(), second.path()]);
    assert_eq!(run(&mut slot, &image), Ok(12));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(taken.is_symlink());

    fs::remove_file(&taken).unwrap();
    fs::write(&taken, b"precious").unwrap();
    match chown(&taken, Some(1), None) {
        Ok(()) => {
            let mut slot = staged(LinuxFiles, &[first.path()]);
            assert_eq!(run(&mut slot, &image), Err(in_use));
            assert_eq!(fs::read(&taken).unwrap(), b"precious");
        }
        Err(error) => std::println!("skipped: a file of another user: {error}"),
    }

    fs::remove_file(&taken).unwrap();
    fs::create_dir(&taken).unwrap();
    let mut slot = staged(LinuxFiles, &[first.path()]);
    assert_eq!(run(&mut slot, &image), Err(in_use));
    assert_eq!(entries(first.path()), [name()]);
    assert_eq!(entries(second.path()), ["victim".to_string()]);
}
