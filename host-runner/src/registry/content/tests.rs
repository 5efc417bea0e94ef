//! Equal means equal in full, whatever hash and Build-ID say.

use std::io::{Read, Seek};

use super::*;

/// Gives all contents the same hash.
#[derive(Debug)]
struct Constant;

impl ContentHash for Constant {
    fn hash(_bytes: &[u8]) -> u128 {
        7
    }
}

#[test]
fn equal_bytes_are_one_content_and_others_are_not() {
    let mut index = ContentIndex::<Xxh3>::default();
    let first = index.insert(b"content");
    assert_eq!(index.insert(b"content"), first);
    assert_eq!(index.find(b"content"), Some(first));
    let second = index.insert(b"contenT");
    assert_ne!(first, second);
    assert_eq!((index.find(b"content "), index.find(b""), index.len()), (None, None, 2));
    assert_eq!(**index.get(second).unwrap().bytes(), *b"contenT");
}

#[test]
fn contents_with_the_same_length_and_hash_stay_apart() {
    let mut index = ContentIndex::<Constant>::default();
    let texts: [&[u8]; 3] = [b"one", b"two", b"six"];
    let ids = texts.map(|text| index.insert(text));
    let keys = ids.map(|id| index.get(id).unwrap().key());
    assert_eq!(keys, [ContentKey { bytes: 3, hash: 7 }; 3]);
    assert_eq!(texts.map(|text| index.find(text)), ids.map(Some));
    assert_eq!(index.find(b"ten"), None);

    index.remove(ids[1]);
    assert_eq!(texts.map(|text| index.find(text)), [Some(ids[0]), None, Some(ids[2])]);
}

#[test]
fn a_removed_content_is_forgotten_and_its_id_is_not_used_again() {
    let mut index = ContentIndex::<Xxh3>::default();
    let first = index.insert(b"content");
    assert_eq!(*index.remove(first).unwrap().bytes, *b"content");
    assert!(index.remove(first).is_none() && index.get(first).is_none());
    assert!(index.is_empty() && index.by_key.is_empty());
    assert_ne!(index.insert(b"content"), first);
}

#[test]
fn the_key_is_the_published_hash() {
    // Test vectors of the reference implementation: no input, and seed 0.
    let empty = ContentKey { bytes: 0, hash: 0x99aa_06d3_0147_98d8_6001_c324_468d_497f };
    assert_eq!(ContentKey::of(b""), empty);
    assert_eq!(empty.prefix(), 0x99aa_06d3_0147_98d8);
    assert_eq!(empty.to_string(), "99aa06d3014798d86001c324468d497f (0 bytes)");
}

/// Runs `act` and returns what it logged.
fn logged<T>(act: impl FnOnce() -> T) -> (T, String) {
    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::clone(&log)).finish();
    let result = tracing::subscriber::with_default(subscriber, act);
    let mut text = String::new();
    (&*log).rewind().unwrap();
    (&*log).read_to_string(&mut text).unwrap();
    (result, text)
}

/// An ELF header, one program header for notes, and a Build-ID note; then `rest`.
fn image(build_id: &[u8; 8], rest: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 120];
    image[..5].copy_from_slice(b"\x7fELF\x02");
    image[32] = 64;
    image[54] = 56;
    image[56] = 1;
    image[64] = 4;
    image[64 + 8] = 120;
    image[64 + 32] = 24;
    for word in [4_u32, 8, 3] {
        image.extend(word.to_le_bytes());
    }
    image.extend(b"GNU\0");
    image.extend(build_id);
    image.extend(rest);
    image
}

#[test]
fn equal_build_ids_are_told_and_prove_nothing() {
    let mut index = ContentIndex::<Xxh3>::default();
    let one = index.insert(&image(b"build-id", b"code"));
    let (other, lines) = logged(|| index.insert(&image(b"build-id", b"patched")));
    assert_ne!(one, other);
    let contents = [one, other].map(|id| index.get(id).unwrap().clone());
    assert_eq!(contents.each_ref().map(|each| each.build_id()), [Some(&b"build-id"[..]); 2]);
    for content in &contents {
        assert!(lines.contains(&content.key().to_string()), "{lines}");
    }
    assert!(lines.contains("6275696c642d6964"), "{lines}");

    let quiet: [&[u8]; 4] =
        [&image(b"another!", b"code"), &image(b"build-id", b"code"), b"no image", b"nor this"];
    for bytes in quiet {
        assert_eq!(logged(|| index.insert(bytes)).1, "");
    }
}
