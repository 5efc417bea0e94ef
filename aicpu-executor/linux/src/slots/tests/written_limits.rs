//! Descriptors and limits of slots that are written to through their file, each in a process alone.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::string::String;
use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation};
use protocol::CallableId;
use rustix::mm::munmap;
use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::{Slot, SlotArena, SlotConfig};
use super::image::{Built, Piece, build};
use super::maps::rights_at;
use super::{all_ways, call, is_alone, load};

/// Code that returns `number`, and 20,000 bytes of data.
fn program(number: u16) -> Built {
    build(&[Piece::code(number), Piece::new(6, &vec![0xAA; 20_000])], None)
}

/// Limits this process until it is limited otherwise.
fn limit(resource: Resource, bytes: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

/// The descriptors of files that slots made.
fn descriptors() -> Vec<PathBuf> {
    let paths = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let name = Path::new("/memfd:orchestrations (deleted)");
    paths.filter(|path| fs::read_link(path).is_ok_and(|target| target == name)).collect()
}

/// Loads into a slot of an arena.
fn load_one(arena: &SlotArena, id: u16, image: &Built) -> Result<u64, MemoryError> {
    let base = load(&mut *arena.slot(CallableId::new(id.into()).unwrap()).lock(), &image.plan())?;
    Ok(base + image.starts[0] as u64)
}

fn arena() -> SlotArena {
    SlotArena::new(SlotConfig { slot_bytes: 128 << 10, ..all_ways()[0] })
}

#[test]
fn slots_in_use_have_a_descriptor_each_that_no_program_inherits_and_that_goes_with_them() {
    let name = "written_limits::slots_in_use_have_a_descriptor_each_that_no_program_inherits_and_that_goes_with_them";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let arena = arena();
    arena.slot(CallableId::new(0).unwrap());
    assert_eq!(descriptors().len(), 0);
    for id in 0..64 {
        for _ in 0..2 {
            let code = load_one(&arena, id, &program(id)).unwrap();
            assert_eq!(call(code), i32::from(id));
            arena.slot(CallableId::new(id.into()).unwrap()).lock().release();
            assert_eq!(descriptors().len(), usize::from(id) + 1);
        }
    }
    let child = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let listed = String::from_utf8(child.stdout).unwrap();
    assert!(listed.contains("pipe:") && !listed.contains("memfd:"), "{listed}");
    drop(arena);
    assert_eq!(descriptors().len(), 0);
}

#[test]
fn slots_beyond_64_need_no_descriptor_but_while_they_are_loaded() {
    let name = "written_limits::slots_beyond_64_need_no_descriptor_but_while_they_are_loaded";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let arena = arena();
    limit(Resource::Nofile, Some(32));
    for round in 0..2 {
        let number = |id: u16| 1000 * round + id;
        let codes: Vec<_> = (64..1024)
            .map(|id| (id, load_one(&arena, id, &program(number(id))).unwrap()))
            .collect();
        assert_eq!(call(codes[0].1), i32::from(number(64)));
        assert!(codes.iter().all(|(id, code)| call(*code) == i32::from(number(*id))));
        assert_eq!(descriptors().len(), 0);
        for (id, _) in &codes {
            arena.slot(CallableId::new((*id).into()).unwrap()).lock().release();
        }
        assert_eq!(rights_at(codes[0].1), "---");
    }
}

#[test]
fn a_slot_that_gets_no_descriptor_says_so_and_does_not_disturb_the_others() {
    let name =
        "written_limits::a_slot_that_gets_no_descriptor_says_so_and_does_not_disturb_the_others";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let arena = arena();
    load_one(&arena, 0, &program(1)).unwrap();
    arena.slot(CallableId::new(0).unwrap()).lock().release();
    limit(Resource::Nofile, Some(3));
    let (operation, length) = (MemoryOperation::Reserve, 128 << 10);
    let error = MemoryError { operation, offset: 0, length, os_error: 24 };
    assert_eq!(load_one(&arena, 1, &program(2)), Err(error));
    assert_eq!(load_one(&arena, 0, &program(3)).map(call), Ok(3));
    limit(Resource::Nofile, None);
    assert_eq!(load_one(&arena, 1, &program(4)).map(call), Ok(4));
}

#[test]
fn a_process_that_has_the_descriptor_alone_changes_nothing_in_the_file() {
    let name =
        "written_limits::a_process_that_has_the_descriptor_alone_changes_nothing_in_the_file";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let code_alone = build(&[Piece::code(2)], None);
    let mut slot = Slot::standalone(SlotConfig { retain_bytes: 0, ..all_ways()[0] }).unwrap();
    let code = load(&mut slot, &program(1).plan()).unwrap();
    let file = fs::File::open(&descriptors()[0]).unwrap();
    let bytes = || {
        let mut found = vec![0; program(1).plan().span()];
        file.read_exact_at(&mut found, 0).unwrap();
        found
    };
    let before = bytes();
    // What a child process is like.
    for address in [code, slot.writer_address().unwrap()] {
        let start = core::ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: the memory of a slot that nothing runs in and that is never used again.
        unsafe { munmap(start, 16 << 20) }.unwrap();
    }
    slot.release();
    let error = MemoryError {
        operation: MemoryOperation::Place,
        offset: 0,
        length: page_size(),
        os_error: 12,
    };
    assert_eq!(load(&mut slot, &code_alone.plan()), Err(error));
    assert!(bytes() == before);
    core::mem::forget(slot);
}

#[test]
fn a_limit_on_files_that_came_later_is_an_error_and_no_signal() {
    let name = "written_limits::a_limit_on_files_that_came_later_is_an_error_and_no_signal";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let mut slot = Slot::standalone(all_ways()[0]).unwrap();
    load(&mut slot, &program(1).plan()).unwrap();
    let span = program(2).plan().span();
    let operation = MemoryOperation::Write;
    let error = MemoryError { operation, offset: 0, length: span, os_error: 27 };
    for bytes in [0, 1, 4096, 4097, span as u64 - 1] {
        slot.release();
        limit(Resource::Fsize, Some(bytes));
        assert_eq!(load(&mut slot, &program(2).plan()), Err(error), "{bytes}");
        slot.release();
        limit(Resource::Fsize, Some(span as u64));
        let base = load(&mut slot, &program(3).plan()).unwrap();
        assert_eq!(call(base + program(3).starts[0] as u64), 3);
    }
    let refused = Slot::standalone(all_ways()[0]).unwrap_err();
    assert_eq!((refused.operation, refused.os_error), (MemoryOperation::Reserve, 27));
}
