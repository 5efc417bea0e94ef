//! Equal means equal in full, whatever hash and Build-ID say.

use std::io::{Read, Seek};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use super::build_id::images::{LOAD, NOTE, build_id_note, elf, with_notes};
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
    assert_eq!(index.get(second).unwrap().bytes(), b"contenT");
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

/// An ELF file with a Build-ID; then `rest`.
fn image(build_id: &[u8], rest: &[u8]) -> Vec<u8> {
    elf(&[(NOTE, 4, build_id_note(build_id)), (LOAD, 4096, rest.to_vec())])
}

#[test]
fn equal_build_ids_are_told_and_prove_nothing() {
    let mut index = ContentIndex::<Xxh3>::default();
    let one = index.insert(&image(b"build-id", b"code"));
    let (other, lines) = logged(|| index.insert(&image(b"build-id", b"patched")));
    assert_ne!(one, other);
    let contents = [one, other].map(|id| index.get(id).unwrap().clone());
    assert_eq!(contents.each_ref().map(Content::build_id), [BuildId::new(b"build-id"); 2]);
    for content in &contents {
        assert_eq!(lines.matches(&content.key().to_string()).count(), 1, "{lines}");
    }
    assert_eq!(lines.matches("6275696c642d6964").count(), 1, "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");

    let quiet: [&[u8]; 4] =
        [&image(b"another!", b"code"), &image(b"build-id", b"code"), b"no image", b"nor this"];
    for bytes in quiet {
        assert_eq!(logged(|| index.insert(bytes)).1, "");
    }
    assert_eq!(index.find(&image(b"build-id", b"code")), Some(one));

    // Known already, and on the way out: the next pair is another one.
    index.remove(other);
    assert_eq!(logged(|| index.insert(&image(b"build-id", b"patched"))).1, "");
    let (_, lines) = logged(|| index.insert(&image(b"build-id", b"patched again")));
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn an_image_without_a_build_id_that_can_be_read_is_a_content_like_any_other() {
    let mut index = ContentIndex::<Xxh3>::default();
    let whole = image(b"build-id", b"code");
    // No note; a note that is cut off; two of them.
    let two = [build_id_note(b"the first"), build_id_note(b"the second")].concat();
    let [none, cut] = [Vec::new(), build_id_note(b"build-id")[..14].to_vec()].map(with_notes);
    let images = [whole, none, cut, with_notes(two)];
    let ids = images.each_ref().map(|image| index.insert(image));
    assert_eq!(images.each_ref().map(|image| index.insert(image)), ids, "same bytes are one");
    assert_eq!(images.each_ref().map(|image| index.find(image)), ids.map(Some));
    assert_eq!(index.len(), 4);
    let found = ids.map(|id| index.get(id).unwrap().build_id());
    let expected = [Some(&b"build-id"[..]), None, None, Some(b"the first")];
    assert_eq!(found, expected.map(|id| id.and_then(BuildId::new)));
    for id in ids {
        index.remove(id);
    }
    assert!(index.is_empty() && index.namesakes.is_empty());
}

proptest! {
    /// Images that agree in their Build-ID, or in what a damaged note makes of it; with a bad hash
    /// in length and hash as well.
    #[test]
    fn bytes_alone_decide(
        changes in vec((any::<Index>(), 0..4_u8), 1..12),
        removed in any::<Index>(),
    ) {
        let good = image(b"build-id", b"code");
        let images: Vec<Vec<u8>> = changes.iter().map(|(index, value)| {
            let mut image = good.clone();
            image[index.index(good.len())] = *value;
            image
        }).collect();
        // Where nobody listens to the first warning, `tracing` may take the place for deaf, and
        // another test, which listens, hears nothing.
        logged(|| {
            check_bytes_decide::<Xxh3>(&images, removed);
            check_bytes_decide::<Constant>(&images, removed);
        });
    }
}

/// Checks an index against a list of all its contents.
fn check_bytes_decide<H: ContentHash>(images: &[Vec<u8>], removed: Index) {
    let (mut index, mut model) = (ContentIndex::<H>::default(), Vec::<(&[u8], ContentId)>::new());
    let known = |model: &[(&[u8], ContentId)], image: &[u8]| {
        model.iter().find(|(bytes, _)| *bytes == image).map(|(_, id)| *id)
    };
    for image in images {
        let before = known(&model, image);
        assert_eq!(index.find(image), before);
        let id = index.insert(image);
        match before {
            Some(before) => assert_eq!(id, before),
            None => model.push((image, id)),
        }
        assert_eq!(index.len(), model.len());
    }
    let (_, gone) = model.remove(removed.index(model.len()));
    assert!(index.remove(gone).is_some());
    for image in images {
        assert_eq!(index.find(image), known(&model, image));
    }
}
