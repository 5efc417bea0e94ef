//! What is read, what is not, and that the project's three readers agree on files that linkers
//! write.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use protocol::build_id::find_build_id;

use super::images::{LOAD, NOTE, Segment, build_id_note, elf, note, with_notes};
use super::*;
use crate::device::sim::test_objects::cxx_bytes_with;

const ID: [u8; 20] = [0xA5; 20];

#[track_caller]
fn assert_reads(image: &[u8], id: &[u8]) {
    assert_eq!(read(image), Some(BuildId::new(id).unwrap()));
}

#[test]
fn the_id_of_a_compiled_image_is_read() {
    let source = "extern \"C\" int value = 1;";
    let image = cxx_bytes_with("build_id", source, &["-Wl,--build-id=sha1"]);
    let id = read(&image).unwrap();
    assert_eq!((id.as_bytes().len(), Some(id)), (20, BuildId::of_file(&image)));
    assert_eq!(label(&image).to_string(), format!("(build-id {id})"));
}

#[test]
fn the_first_of_two_ids_counts_in_one_segment_and_in_two() {
    let [first, second] = [build_id_note(&ID), build_id_note(b"another one")];
    assert_reads(&with_notes([&first[..], &second].concat()), &ID);
    assert_reads(&with_notes([&second[..], &first].concat()), b"another one");
    assert_reads(
        &elf(&[(LOAD, 4096, vec![3; 40]), (NOTE, 4, second), (NOTE, 4, first)]),
        b"another one",
    );
}

#[test]
fn an_image_without_an_id_has_none() {
    let others = [note(4, 1, "GNU\0", &ID), note(4, 3, "Go\0", &ID), note(4, 3, "GN\0", &ID)];
    let (empty, long) = (build_id_note(&[]), build_id_note(&[7; 65]));
    for notes in [others.concat(), empty.clone(), long.clone(), Vec::new()] {
        assert_eq!(read(&with_notes(notes)), None);
    }
    assert_eq!(read(&elf(&[])), None);
    assert_eq!(read(&elf(&[(LOAD, 4, build_id_note(&ID))])), None);
    assert_eq!(label(&elf(&[])).to_string(), "(no build-id)");
    let all = [&others.concat(), &empty[..], &long, &build_id_note(&ID)].concat();
    assert_reads(&with_notes(all), &ID);
}

#[test]
fn ids_of_1_to_64_bytes_are_read_whole() {
    for length in [1, 7, 8, 64] {
        assert_reads(&with_notes(build_id_note(&vec![9; length])), &vec![9; length]);
    }
}

#[test]
fn files_of_other_kinds_have_no_id() {
    let good = with_notes(build_id_note(&ID));
    // Magic, class, byte order, table, bytes of an entry.
    for (at, value) in [(1, b'e'), (4, 1), (4, 3), (5, 2), (5, 0), (32, 0), (54, 57), (54, 55)] {
        let mut other = good.clone();
        other[at] = value;
        assert_eq!(read(&other), None, "{at}");
    }
    // Where a file of 32 bits, or of the other byte order, has the same fields.
    let (small, large) =
        ([(4, 1), (28, 64), (42, 56), (44, 1)], [(5, 2), (39, 64), (55, 56), (57, 1)]);
    for fields in [small, large] {
        let mut other = good.clone();
        other[32..64].fill(0);
        fields.iter().for_each(|(at, value)| other[*at] = *value);
        assert_eq!(read(&other), None, "{fields:?}");
    }
    for length in 0..good.len() {
        assert_eq!(read(&good[..length]), None, "cut to {length} bytes");
    }
}

#[test]
fn notes_that_are_cut_off_end_their_segment_and_no_other() {
    let whole = build_id_note(&ID);
    for length in 0..whole.len() {
        let cut = (NOTE, 4, whole[..length].to_vec());
        assert_eq!(read(&elf(std::slice::from_ref(&cut))), None, "{length}");
        assert_reads(&elf(&[cut, (NOTE, 4, build_id_note(b"whole"))]), b"whole");
    }
    let no_text = [note(4, 1, "xx\0", &[]), whole.clone()].concat();
    let mut damaged = no_text.clone();
    damaged[12] = 0xFF;
    assert_reads(&with_notes(no_text), &ID);
    assert_eq!(read(&with_notes(damaged)), None, "a name that is not UTF-8");
    assert_eq!(
        read(&elf(&[(NOTE, 16, whole.clone())])),
        None,
        "an alignment that notes never have"
    );
    // The last note of a file may lack its padding.
    assert_reads(&with_notes([build_id_note(&[1; 5])].concat()[..21].to_vec()), &[1; 5]);
}

/// Here the reader of the identity, which does as the reference does, takes the body of a note for
/// a header; the loader does not.
#[test]
fn notes_are_aligned_as_their_segment_says() {
    let first = note(8, 1, "GNU\0", &[0xEE; 20]);
    let image = elf(&[(NOTE, 8, [first, note(8, 3, "GNU\0", &ID)].concat())]);
    assert_reads(&image, &ID);
    assert_eq!(BuildId::of_file(&image), BuildId::new(&ID));
    assert_eq!(find_build_id(&image), None);
}

#[test]
fn the_work_is_bounded() {
    // 20 bytes of a note around its body.
    let filler = |bytes: usize| note(4, 1, "zzz\0", &vec![0; bytes - 16]);
    let id = build_id_note(&ID);
    for (before, found) in
        [(NOTE_BYTES_MAX - id.len(), true), (NOTE_BYTES_MAX - id.len() + 4, false)]
    {
        let one = with_notes([&filler(before)[..], &id].concat());
        assert_eq!(read(&one).is_some(), found, "{before}");
        // All segments together.
        let halves = [filler(before / 8 * 4), filler(before - before / 8 * 4)];
        let [first, second] = halves.map(|bytes| (NOTE, 4, bytes));
        assert_eq!(read(&elf(&[first, second, (NOTE, 4, id.clone())])).is_some(), found);
    }
    for (before, found) in [(63, true), (64, false)] {
        let mut segments = vec![(LOAD, 4, Vec::new()); before];
        segments.push((NOTE, 4, id.clone()));
        assert_eq!(read(&elf(&segments)).is_some(), found, "{before}");
    }
}

/// Segments as linkers write them: notes that are whole, text as names, parts aligned to 4, or to 8
/// where that makes no difference. Build-IDs are such that all readers accept them.
fn well_formed() -> impl Strategy<Value = Vec<Segment>> {
    let other = (
        0..6_u32,
        prop_oneof![Just("Go\0"), Just("stapsdt\0"), Just("\0"), Just("GNU")],
        0..40_usize,
    )
        .prop_map(|(kind, name, bytes)| note(4, kind, name, &vec![0x5A; bytes]));
    let abi = any::<[u8; 16]>().prop_map(|body| note(4, 1, "GNU\0", &body));
    let id = vec(any::<u8>(), 8..=64).prop_map(|id| build_id_note(&id));
    let align = prop_oneof![Just(0_u64), Just(1), Just(4)];
    let notes = vec(prop_oneof![other, abi, id], 0..5).prop_map(|notes| notes.concat());
    let notes = (align, notes).prop_map(|(align, notes)| (NOTE, align, notes));
    let properties = (1..4_usize).prop_map(|count| note(8, 5, "GNU\0", &vec![1; 8 * count]));
    let properties = vec(properties, 1..3).prop_map(|all| (NOTE, 8, all.concat()));
    let load = vec(any::<u8>(), 0..64).prop_map(|bytes| (LOAD, 4096, bytes));
    vec(prop_oneof![3 => notes, 1 => properties, 1 => load], 0..6)
}

/// A word that a damaged image has somewhere.
fn damage() -> impl Strategy<Value = u32> {
    prop_oneof![0..80_u32, Just(1 << 31), Just(u32::MAX), any::<u32>()]
}

proptest! {
    #[test]
    fn all_readers_agree_on_well_formed_images(segments in well_formed()) {
        let image = elf(&segments);
        let found = read(&image);
        assert_eq!(found, find_build_id(&image).and_then(BuildId::new));
        assert_eq!(found, BuildId::of_file(&image));
    }

    /// Whatever is read of a damaged image is at least in it.
    #[test]
    fn no_image_makes_reading_panic(
        segments in well_formed(),
        words in vec((any::<Index>(), damage()), 1..8),
        cut in any::<Index>(),
    ) {
        let mut image = elf(&segments);
        for (index, word) in words {
            let at = index.index(image.len() - 3);
            image[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        for image in [&image[..], &image[..cut.index(image.len())]] {
            if let Some(id) = read(image) {
                let id = id.as_bytes();
                assert!(image.windows(id.len()).any(|part| part == id));
            }
        }
    }
}
