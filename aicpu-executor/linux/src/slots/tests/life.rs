//! Images in slots: what they see, what they leave, and what it costs to load the next one.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::CodeMemory;
use protocol::CallableId;
use rustix::param::page_size;

use super::super::calls::{Call, noted};
use super::super::{ReleasedRights, SlotArena, SlotConfig, SlotMode, WriterView};
use super::image::{Built, Piece, build, plan_of};
use super::maps::{has_flag, kilobytes, mappings, rights_at, runs};
use super::{all_ways, call, is_alone, load, read, slot};

/// Code, constants, sealed words, data and 9000 zero bytes; the code returns `number`.
fn program(number: u16) -> Built {
    let data = Piece { lead: 16, zeros: 9000, ..Piece::new(6, &vec![0xAA; page_size() + 100]) };
    build(&[Piece::code(number), Piece::new(4, &[1; 5000]), data], Some((2, 1)))
}

fn ids() -> impl Iterator<Item = CallableId> {
    (0..64).map(|raw| CallableId::new(raw).unwrap())
}

#[test]
fn a_loaded_image_runs_and_every_page_has_its_final_rights() {
    let program = program(42);
    for config in all_ways() {
        let mut slot = slot(config);
        let base = load(&mut slot, &program.plan()).unwrap_or_else(|e| panic!("{config:?}: {e}"));
        assert_eq!(call(base + program.starts[0] as u64), 42, "{config:?}");
        let expected = ["1 r--", "1 r-x", "3 r--", "3 rw-", "1 ---"];
        let span = program.plan().span() as u64 / page_size() as u64;
        assert_eq!(runs(base, span + 1), expected, "{config:?}");
    }
}

#[test]
fn writable_bytes_are_those_that_the_image_sees() {
    let program = program(1);
    for config in all_ways() {
        let mut slot = slot(config);
        let base = slot.place(&program.plan()).unwrap();
        let start = program.starts[2];
        slot.writable(start, 100).unwrap()[99] = 0x77;
        slot.seal(&program.plan()).unwrap();
        assert_eq!(read(base + start as u64 + 98, 3), [0xAA, 0x77, 0xAA], "{config:?}");
    }
}

#[test]
fn a_slot_has_64_kilobytes_without_access_on_both_sides() {
    let (program, guard) = (program(3), 64 << 10);
    for config in all_ways() {
        let arena = SlotArena::new(SlotConfig { slot_bytes: 128 << 10, ..config });
        for id in ids() {
            let base = load(&mut *arena.slot(id).lock(), &program.plan()).unwrap();
            assert_eq!(base % (64 << 10), 0);
            let end = base + (128 << 10);
            for address in [base - guard, base - 1, end, end + guard - 1] {
                assert_eq!(rights_at(address), "---", "{config:?} {id:?}");
            }
        }
    }
}

#[test]
fn nothing_is_writable_and_executable_and_what_the_loader_writes_to_never_is_executable() {
    let program = program(4);
    for config in all_ways().into_iter().take(2) {
        let mut slot = slot(config);
        slot.place(&program.plan()).unwrap();
        let view = slot.writer_address().unwrap();
        assert_eq!(rights_at(view), "rw-");
        slot.seal(&program.plan()).unwrap();
        assert_eq!(rights_at(view), "rw-");
        let both: Vec<_> =
            mappings().into_iter().filter(|each| each.rights.ends_with("wx")).collect();
        assert!(both.is_empty(), "{both:?}");
        slot.release();
        assert_eq!(rights_at(view), "rw-");
    }
}

#[test]
fn shared_memory_stays_in_this_process_and_is_dumped_once() {
    let program = program(11);
    for config in all_ways().into_iter().take(2) {
        let mut slot = slot(config);
        let code = load(&mut slot, &program.plan()).unwrap();
        let writer = slot.writer_address().unwrap();
        // "dc" is for not copied to a child, "dd" for left out of a core dump.
        for (address, flag, expected) in
            [(code, "dc", true), (writer, "dc", true), (code, "dd", false), (writer, "dd", true)]
        {
            assert_eq!(has_flag(address, flag), expected, "{config:?} {flag}");
        }
        let is_apart = config.writer == WriterView::Kept;
        assert_eq!(!has_flag(writer - 1, "dd"), is_apart, "the guard is another mapping");
    }
}

/// The calls of loading and releasing `images` in turn, once everything is warm.
fn calls(config: SlotConfig, images: &[&Built]) -> Vec<Call> {
    let mut slot = slot(config);
    for _ in 0..2 {
        for image in images {
            noted();
            load(&mut slot, &image.plan()).unwrap();
            slot.release();
        }
    }
    noted()
}

#[test]
fn a_warm_load_makes_no_call_more_than_it_must() {
    let (first, same) = (program(5), program(6));
    let longer = build(&[Piece::code(7), Piece::new(4, &[1; 20_000])], None);
    let [hidden, kept, anonymous, _] = all_ways();
    let revoked = SlotConfig { released: ReleasedRights::Revoked, ..kept };
    let rows: [(SlotConfig, &[&Built], usize, usize); 7] = [
        (kept, &[&first, &same], 0, 0),
        (hidden, &[&first, &same], 1, 0),
        // Three runs of rights to give, and all to take.
        (revoked, &[&first, &same], 0, 4),
        // One to make all writable, two to make what is not so read-only and executable.
        (anonymous, &[&first, &same], 0, 3),
        (kept, &[&longer, &first], 0, 1),
        (hidden, &[&longer, &first], 1, 1),
        (anonymous, &[&longer, &first], 0, 3),
    ];
    for (config, images, writes, changes) in rows {
        let expected = [vec![Call::Write; writes], vec![Call::Protect; changes]].concat();
        assert_eq!(calls(config, images), expected, "{config:?}");
    }
}

#[test]
fn all_64_slots_hold_an_image_each_and_take_the_next_one() {
    for config in all_ways() {
        let arena = SlotArena::new(SlotConfig { slot_bytes: 64 << 10, ..config });
        for round in 0..3_u16 {
            let number = |id: CallableId| 1000 * round + u16::try_from(id.index()).unwrap();
            let load_one = |id| {
                // Another layout each time.
                let front = Piece::new(4, &vec![9; page_size() * usize::from(round)]);
                let image = build(&[Piece::code(number(id)), front], None);
                let mut slot = arena.slot(id).lock();
                slot.release();
                let base = load(&mut *slot, &image.plan()).unwrap();
                (base + image.starts[0] as u64, id)
            };
            let loaded: Vec<_> = ids().map(load_one).collect();
            for (address, id) in &loaded {
                assert_eq!(call(*address), i32::from(number(*id)), "{config:?}");
            }
            let distinct: BTreeSet<_> = loaded.iter().map(|(address, _)| address).collect();
            assert_eq!(distinct.len(), 64);
        }
    }
}

#[test]
fn nothing_of_the_image_before_is_visible_in_the_next_one() {
    let page = page_size();
    let before = build(&[Piece::new(6, &vec![0xAA; 12 * page])], None);
    let data = Piece { lead: 0x123, zeros: 2 * page, gap: 1, ..Piece::new(6, &[0x11; 50]) };
    let only_zeros = Piece { zeros: 100, ..Piece::new(6, &[]) };
    let after = build(&[Piece::code(8), data, only_zeros], None);
    for config in all_ways() {
        let mut slot = slot(config);
        load(&mut slot, &before.plan()).unwrap();
        slot.release();
        let base = load(&mut slot, &after.plan()).unwrap();
        let expected = ["1 r--", "1 r-x", "1 ---", "4 rw-", "7 ---"];
        assert_eq!(runs(base, 14), expected, "{config:?}");
        let start = base + after.starts[1] as u64;
        let bytes = read(start, 4 * page - 0x123);
        assert!(bytes[..50].iter().all(|byte| *byte == 0x11), "{config:?}");
        assert!(bytes[50..].iter().all(|byte| *byte == 0), "{config:?}");
        if config.mode != SlotMode::Staged {
            // Mapped pages have the neighbouring bytes of the same file.
            assert_eq!(read(start - 0x123, 0x123), [0; 0x123], "{config:?}");
            let behind_code = base + after.starts[0] as u64 + 16;
            assert_eq!(read(behind_code, page - 16), vec![0; page - 16], "{config:?}");
        }
    }
}

#[test]
fn a_released_slot_keeps_no_more_memory_than_it_may() {
    let page = page_size();
    let large = build(&[Piece::new(6, &vec![0xAA; 40 * page])], None);
    for mode in [SlotMode::DualMapped, SlotMode::Anonymous] {
        for kept in [0, 10, 100] {
            let retain_bytes = kept * page;
            let mut slot = slot(SlotConfig { mode, retain_bytes, ..SlotConfig::DEFAULT });
            let base = load(&mut slot, &large.plan()).unwrap();
            let end = base + (16 << 20);
            let resident = |what| (what, kilobytes("Rss", base, end) * 1024 / page as u64);
            // All of it is read once, so that it counts.
            read(base, 41 * page);
            assert_eq!(resident("loaded"), ("loaded", 41));
            slot.release();
            assert_eq!(resident("released"), ("released", kept.min(41) as u64), "{mode:?}");
            // Rights stay: what was given back reads as zero, what was kept as it was.
            let bytes = read(base + page as u64, 40 * page);
            let is_kept = |index: usize| index + 1 < kept;
            assert!(
                bytes.chunks(page).enumerate().all(|(index, bytes)| {
                    let expected = if is_kept(index) { 0xAA } else { 0 };
                    bytes.iter().all(|byte| *byte == expected)
                }),
                "{mode:?} {kept}"
            );
        }
    }
}

#[test]
fn a_released_slot_loses_its_rights_if_that_is_wanted() {
    let program = program(9);
    for config in all_ways().into_iter().take(3) {
        let mut slot = slot(SlotConfig { released: ReleasedRights::Revoked, ..config });
        let base = load(&mut slot, &program.plan()).unwrap();
        slot.release();
        assert_eq!(runs(base, 20), ["20 ---"], "{config:?}");
        let base = load(&mut slot, &program.plan()).unwrap();
        assert_eq!(call(base + program.starts[0] as u64), 9);
    }
}

#[test]
fn the_memory_goes_with_the_slot_wherever_that_was_moved_to() {
    // Nobody else shall take the addresses that become free.
    if !is_alone("life::the_memory_goes_with_the_slot_wherever_that_was_moved_to", r#""$@""#) {
        return;
    }
    let program = program(10);
    let bytes = 3 * (64 << 10);
    let whole = |base: u64| {
        mappings().into_iter().any(|each| each.start <= base && each.end >= base + bytes)
    };
    for config in all_ways() {
        let config = SlotConfig { slot_bytes: 192 << 10, ..config };
        let (stays, goes) = (SlotArena::new(config), SlotArena::new(config));
        let id = CallableId::new(7).unwrap();
        core::mem::swap(&mut *stays.slot(id).lock(), &mut *goes.slot(id).lock());
        let base = stays.slot(id).lock().place(&program.plan()).unwrap();
        let gone = goes.slot(id).lock().place(&program.plan()).unwrap();
        drop(goes);
        stays.slot(id).lock().seal(&program.plan()).unwrap();
        assert_eq!(call(base + program.starts[0] as u64), 10, "{config:?}");
        assert!(!whole(gone), "{config:?}");
        let other = CallableId::new(8).unwrap();
        assert!(load(&mut *stays.slot(other).lock(), &plan_of(&program.bytes)).is_ok());
    }
}

#[test]
fn there_is_a_slot_for_every_id_and_those_that_are_not_used_cost_nothing() {
    let name = "life::there_is_a_slot_for_every_id_and_those_that_are_not_used_cost_nothing";
    if !is_alone(name, r#""$@""#) {
        return;
    }
    let program = program(11);
    for config in all_ways() {
        let before = mappings().len();
        let arena = SlotArena::new(config);
        assert_eq!(arena.capacity(), 1024, "{config:?}");
        assert!(mappings().len() <= before + 4, "{config:?}");
        let raws = [0, 63, 64, 1023];
        let bases = raws.map(|raw| {
            let id = CallableId::new(raw).unwrap();
            load(&mut *arena.slot(id).lock(), &program.plan()).unwrap()
        });
        for pair in bases.windows(2) {
            assert!(pair[0] + (16 << 20) < pair[1], "{config:?}: {bases:x?}");
        }
        assert!(bases.iter().all(|base| call(base + program.starts[0] as u64) == 11));
        assert!(mappings().len() <= before + 4 + raws.len() * 16, "{config:?}");
        drop(arena);
        assert_eq!(mappings().len(), before, "{config:?}");
    }
}

#[test]
fn threads_that_ask_at_the_same_time_make_each_slot_once() {
    for _ in 0..40 {
        let arena = SlotArena::new(SlotConfig { slot_bytes: 64 << 10, ..SlotConfig::DEFAULT });
        let (last, start) = (arena.capacity() - 1, std::sync::Barrier::new(3));
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (arena, start) = (&arena, &start);
                scope.spawn(move || {
                    start.wait();
                    for step in 0..50_i64 {
                        arena.slot(CallableId::new(3 * step + thread).unwrap());
                    }
                });
            }
        });
        // A slot that is made twice takes the memory of another.
        let last = CallableId::new(i64::try_from(last).unwrap()).unwrap();
        assert_eq!(arena.slot(last).lock().mode(), Some(SlotMode::DualMapped));
    }
}

#[test]
fn the_first_mode_is_the_dual_mapping_on_this_system() {
    let arena = SlotArena::default();
    let modes: BTreeSet<String> =
        ids().map(|id| format!("{:?}", arena.slot(id).lock().mode())).collect();
    assert_eq!(modes.into_iter().collect::<Vec<_>>(), ["Some(DualMapped)"]);
}
