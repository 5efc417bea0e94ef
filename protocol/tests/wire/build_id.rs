//! Image identity: where a Build-ID is found, and when the hash of all bytes takes its place.

use crate::promises::fnv;
use crate::sample::{elf, note, put};
use protocol::{find_build_id, identity_hash};

const LOAD: u32 = 1;
const NOTES: u32 = 4;
const ID: [u8; 20] = [0xA5; 20];

/// Identity of an image whose Build-ID starts with `0xA5` eight times.
const ID_HASH: u64 = 0xA5A5_A5A5_A5A5_A5A5;

#[track_caller]
fn check_found(image: &[u8]) {
    assert_eq!(find_build_id(image), Some(&ID[..]));
    assert_eq!(identity_hash(image), ID_HASH);
}

#[track_caller]
fn check_hashed(image: &[u8]) {
    assert_eq!(find_build_id(image), None);
    assert_eq!(identity_hash(image), fnv(image));
}

#[test]
fn known_hashes_of_short_inputs() {
    // Published test vectors of FNV-1a.
    assert_eq!(identity_hash(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(identity_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(identity_hash(b"foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn build_id_is_found_among_segments_and_notes() {
    check_found(&elf(&[(NOTES, note(b"GNU\0", 3, &ID))]));
    let others = [note(b"GNU\0", 1, &[1; 16]), note(b"stapsdt\0", 3, &[2; 7])].concat();
    let notes = [others.clone(), note(b"GNU\0", 3, &ID)].concat();
    check_found(&elf(&[(LOAD, vec![7; 30]), (NOTES, notes)]));
    check_found(&elf(&[(NOTES, others), (NOTES, note(b"GNU\0", 3, &ID))]));
}

#[test]
fn first_eight_bytes_are_the_identity_in_memory_order() {
    let id: Vec<u8> = (1..=20).collect();
    let image = elf(&[(NOTES, note(b"GNU\0", 3, &id))]);
    assert_eq!(identity_hash(&image), 0x0807_0605_0403_0201);
}

#[test]
fn short_or_foreign_notes_do_not_count() {
    for (name, kind, descriptor) in [
        (&b"GNU\0"[..], 3, &ID[..7]),
        (b"GNU\0", 4, &ID),
        (b"GNU", 3, &ID),
        (b"Go\0\0", 3, &ID),
        (b"", 3, &ID),
    ] {
        check_hashed(&elf(&[(NOTES, note(name, kind, descriptor))]));
    }
    let short_then_good = [note(b"GNU\0", 3, &ID[..7]), note(b"GNU\0", 3, &ID)].concat();
    check_found(&elf(&[(NOTES, short_then_good)]));
}

#[test]
fn images_that_are_no_64_bit_elf_are_hashed() {
    let good = elf(&[(NOTES, note(b"GNU\0", 3, &ID))]);
    type Change = fn(&mut Vec<u8>);
    let changes: [Change; 6] = [
        |i| i[0] = 0,
        |i| i[4] = 1,
        |i| put(i, 32, 0u64.to_le_bytes()),
        |i| put(i, 54, 55u16.to_le_bytes()),
        |i| put(i, 56, 100u16.to_le_bytes()),
        |i| i.truncate(63),
    ];
    for change in changes {
        let mut image = good.clone();
        change(&mut image);
        check_hashed(&image);
    }
}

#[test]
fn image_without_program_headers_is_hashed_even_if_its_header_reads_as_one() {
    // With 4 headers claimed at offset 0, the second "header" starts at 56, with that very 4.
    let mut image = vec![0; 224];
    image[..6].copy_from_slice(b"\x7fELF\x02\x01");
    put(&mut image, 54, 56u16.to_le_bytes());
    put(&mut image, 56, 4u16.to_le_bytes());
    let notes = note(b"GNU\0", 3, &ID);
    put(&mut image, 56 + 8, 224u64.to_le_bytes());
    put(&mut image, 56 + 32, u64::try_from(notes.len()).unwrap().to_le_bytes());
    image.extend(notes);
    check_hashed(&image);
}

#[test]
fn s3_offsets_that_overflow_or_leave_the_image_end_in_the_hash() {
    let good = elf(&[(NOTES, note(b"GNU\0", 3, &ID))]);
    // Table, segment offset, segment size.
    for at in [32, 64 + 8, 64 + 32] {
        for value in [u64::MAX, u64::MAX - 63, 1 << 63, 4096] {
            let mut image = good.clone();
            put(&mut image, at, value.to_le_bytes());
            check_hashed(&image);
        }
    }
    // Sizes of the note's name and descriptor.
    for at in [120, 124] {
        for value in [u32::MAX, u32::MAX - 3, 0x8000_0000, 4096] {
            let mut image = good.clone();
            put(&mut image, at, value.to_le_bytes());
            check_hashed(&image);
        }
    }
}

#[test]
fn damaged_segment_does_not_hide_a_later_one() {
    let mut image = elf(&[(NOTES, vec![0xFF; 24]), (NOTES, note(b"GNU\0", 3, &ID))]);
    check_found(&image);
    put(&mut image, 64 + 8, u64::MAX.to_le_bytes());
    check_found(&image);
}

#[test]
fn larger_program_headers_are_stepped_over_whole() {
    // Two headers of 64 bytes: 56 known ones and 8 of a later standard.
    let mut image = elf(&[(LOAD, Vec::new()), (NOTES, note(b"GNU\0", 3, &ID))]);
    let padding_after_first = 64 + 56;
    for _ in 0..8 {
        image.insert(padding_after_first, 0xEE);
    }
    let second = 64 + 64;
    for _ in 0..8 {
        image.insert(second + 56, 0xEE);
    }
    put(&mut image, 54, 64u16.to_le_bytes());
    put(&mut image, second + 8, u64::to_le_bytes(64 + 128));
    check_found(&image);
}

#[test]
fn notes_behind_the_first_1024_are_not_looked_at() {
    for (others, found) in [(1023, true), (1024, false)] {
        let mut notes = note(b"GNU\0", 1, &[]).repeat(others);
        notes.extend(note(b"GNU\0", 3, &[0xA5; 20]));
        let image = elf(&[(4, notes)]);
        assert_eq!(find_build_id(&image).is_some(), found, "{others}");
    }
}
