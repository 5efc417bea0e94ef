//! Systems with less than usual: little address space, small files, full and unusable folders.

use std::fs;
use std::path::Path;
use std::string::ToString;
use std::vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, StagingStep};
use protocol::CallableId;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

use super::super::{Slot, SlotArena, SlotConfig, SlotMode};
use super::image::{Built, Piece, build};
use super::staging::folders;
use super::{all_ways, call, is_alone, load};

/// Code that returns `number`, and 20,000 bytes of data.
fn program(number: u16) -> Built {
    build(&[Piece::code(number), Piece::new(6, &vec![0xAA; 20_000])], None)
}

fn limit(resource: Resource, bytes: u64) {
    setrlimit(resource, Rlimit { current: Some(bytes), maximum: Some(bytes) }).unwrap();
}

/// Loads into slot 3 of an arena and calls it.
fn run(config: SlotConfig, image: &Built) -> Result<i32, MemoryError> {
    let arena = SlotArena::new(config);
    let base = load(&mut *arena.slot(CallableId::new(3).unwrap()).lock(), &image.plan())?;
    Ok(call(base + image.starts[0] as u64))
}

fn failed(operation: MemoryOperation, length: usize, error: Errno) -> MemoryError {
    MemoryError { operation, offset: 0, length, os_error: error.raw_os_error() }
}

#[test]
fn address_space_that_cannot_be_had_is_an_error_with_its_size() {
    let name = "system_limits::address_space_that_cannot_be_had_is_an_error_with_its_size";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    limit(Resource::As, 512 << 20);
    let program = program(6);
    for config in all_ways() {
        let bytes = (128 << 10) + 64 * ((16 << 20) + (64 << 10));
        let error = failed(MemoryOperation::Reserve, bytes, Errno::NOMEM);
        assert_eq!(run(config, &program), Err(error), "{config:?}");
        assert_eq!(SlotArena::new(config).capacity(), 64);
        assert!(error.to_string().contains("0x40420000 bytes"), "{error}");
        // One slot alone has room.
        let mut slot = Slot::standalone(config).unwrap();
        let base = load(&mut slot, &program.plan()).unwrap();
        assert_eq!(call(base + program.starts[0] as u64), 6);
    }
}

#[test]
fn address_space_for_fewer_slots_makes_fewer_ids_and_no_worse_mode() {
    let name = "system_limits::address_space_for_fewer_slots_makes_fewer_ids_and_no_worse_mode";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    // Enough for one view of 1024 slots, and for two of 64.
    limit(Resource::As, 20 << 30);
    let program = program(9);
    for config in all_ways().into_iter().take(2).chain([SlotConfig::DEFAULT]) {
        let arena = SlotArena::new(config);
        assert_eq!(arena.capacity(), 64, "{config:?}");
        let slot = |raw| arena.slot(CallableId::new(raw).unwrap()).lock();
        assert_eq!(slot(63).mode(), Some(SlotMode::DualMapped));
        let base = load(&mut *slot(63), &program.plan()).unwrap();
        assert_eq!(call(base + program.starts[0] as u64), 9);
        for beyond in [64, 1023] {
            let error = MemoryError {
                os_error: 0,
                ..failed(MemoryOperation::Reserve, 16 << 20, Errno::PERM)
            };
            assert_eq!(slot(beyond).place(&program.plan()), Err(error));
        }
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_or_another_mode_and_no_signal() {
    let name =
        "system_limits::a_limit_on_the_size_of_files_is_an_error_or_another_mode_and_no_signal";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let (folder, program) = (TempDir::new().unwrap(), program(7));
    limit(Resource::Fsize, 4096);
    let of = |mode| SlotConfig { mode, folders: folders(&[folder.path()]), ..SlotConfig::DEFAULT };
    assert_eq!(run(of(SlotMode::Auto), &program), Ok(7));
    let mut slot = Slot::standalone(of(SlotMode::Auto)).unwrap();
    assert_eq!(slot.mode(), Some(SlotMode::Anonymous));
    slot.place(&program.plan()).unwrap();
    let dual = run(of(SlotMode::DualMapped), &program).unwrap_err();
    assert_eq!((dual.operation, dual.os_error), (MemoryOperation::Reserve, 27));
    let write = MemoryOperation::Staging { step: StagingStep::Write, folder: 0 };
    let error = failed(write, program.plan().span(), Errno::FBIG);
    assert_eq!(run(of(SlotMode::Staged), &program), Err(error));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A shell command that runs the test with two small file systems, one full and one without
/// executable files.
const WITH_SMALL_FILE_SYSTEMS: &str = r#"exec unshare --map-root-user --mount sh -c '
    full=$(mktemp -d) && noexec=$(mktemp -d) || exit 77
    mount -t tmpfs -o size=16k tmpfs "$full" || exit 77
    mount -t tmpfs -o size=1m,noexec tmpfs "$noexec" || exit 77
    SLOTS_TEST_FULL=$full SLOTS_TEST_NOEXEC=$noexec "$@"; result=$?
    umount "$full" "$noexec" && rmdir "$full" "$noexec"
    exit $result' sh "$@" || exit $?"#;

#[test]
fn s4_full_folders_and_such_without_executable_files_are_passed_over_and_left_empty() {
    let name = "system_limits::s4_full_folders_and_such_without_executable_files_are_passed_over_and_left_empty";
    if !is_alone(name, WITH_SMALL_FILE_SYSTEMS) {
        return;
    }
    let path = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let (full, noexec) = (path("SLOTS_TEST_FULL"), path("SLOTS_TEST_NOEXEC"));
    let (good, program) = (TempDir::new().unwrap(), program(8));
    let of = |paths: &[&Path]| SlotConfig {
        mode: SlotMode::Staged,
        folders: folders(paths),
        ..SlotConfig::DEFAULT
    };
    let error = |step, folder, error| {
        let operation = MemoryOperation::Staging { step, folder };
        Err(failed(operation, program.plan().span(), error))
    };
    assert_eq!(run(of(&[&full]), &program), error(StagingStep::Write, 0, Errno::NOSPC));
    assert_eq!(run(of(&[&noexec]), &program), error(StagingStep::Map, 0, Errno::PERM));
    assert_eq!(run(of(&[&full, &noexec]), &program), error(StagingStep::Map, 1, Errno::PERM));
    assert_eq!(run(of(&[&full, &noexec, good.path()]), &program), Ok(8));
    for folder in [&*full, &*noexec, good.path()] {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "{folder:?}");
    }
}
