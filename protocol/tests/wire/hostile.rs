//! Property tests: no input makes a parser panic, and whatever it accepts keeps its promises.

use crate::build_id::fnv;
use crate::sample::{args_blob, elf, note, put, tensor, two_kernels};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use protocol::{
    ArgsBlobView, CallConfig, ChipCallableView, CoreCallableView, find_build_id, identity_hash,
};
use std::collections::BTreeSet;

/// Numbers that sit at the edges of checks.
fn edge() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(63),
        Just(64),
        Just(1024),
        Just(1025),
        Just(0x7FFF_FFFF),
        Just(0x8000_0000),
        Just(u32::MAX),
        Just(0xFFFF_FFC0),
        any::<u32>(),
        0..2048u32,
    ]
}

/// A valid record with up to 6 words overwritten and possibly the end cut off.
fn mutated(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let words = vec((any::<Index>(), edge()), 0..6);
    let cut = prop_oneof![3 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (Just(valid), words, cut).prop_map(|(mut bytes, words, cut)| {
        for (index, number) in words {
            let at = index.index(bytes.len() - 3);
            put(&mut bytes, at, number.to_le_bytes());
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        bytes
    })
}

/// A valid callable with words of its header fields and kernel headers overwritten.
fn mutated_callable() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just(256usize),
        Just(260),
        Just(328),
        Just(332),
        Just(336),
        Just(4428),
        Just(4432),
        Just(8524),
        Just(8592),
        Just(8596 + 128 + 64),
        Just(8596 + 128 + 68),
        Just(8596 + 320 + 68),
    ];
    vec((field, edge()), 1..4).prop_flat_map(|fields| {
        let mut bytes = two_kernels();
        for (at, number) in fields {
            put(&mut bytes, at, number.to_le_bytes());
        }
        prop_oneof![Just(bytes.clone()), mutated(bytes)]
    })
}

/// Checks what a view promises of any bytes that were accepted.
fn check_callable(bytes: &[u8]) {
    let Ok(view) = ChipCallableView::parse(bytes) else { return };
    assert!(!view.orchestration().is_empty());
    assert!(!view.entry_symbol().is_empty() && view.entry_symbol().len() < 64);
    assert_eq!(view.signature().iter().count(), view.signature().len());
    let children: Vec<_> = view.children().collect();
    assert_eq!(children.len(), view.child_count());
    let ids: BTreeSet<_> = children.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), children.len());
    let mut end = view.orchestration().as_ptr_range().end;
    for (_, child) in &children {
        let range = child.blob.as_ptr_range();
        assert!(range.start >= end, "overlap");
        assert!(!child.binary.is_empty());
        assert!(child.binary.as_ptr_range().end == range.end);
        end = range.end;
    }
    assert!(end == bytes.as_ptr_range().end, "trailing bytes");
}

fn check_args(bytes: &[u8]) {
    let Ok(view) = ArgsBlobView::parse(bytes) else { return };
    assert!(view.byte_len() <= bytes.len());
    assert_eq!(view.tensors().count(), view.tensor_count());
    assert_eq!(view.scalars().count(), view.scalar_count());
    for tensor in view.tensors() {
        assert!(tensor.byte_len().is_ok());
    }
    let fits = view.tensor_count() <= 64 && view.scalar_count() <= 128;
    assert_eq!(view.to_chip_storage().is_ok(), fits);
}

fn check_image(bytes: &[u8]) {
    match find_build_id(bytes) {
        Some(id) => {
            assert!(id.len() >= 8);
            assert_eq!(identity_hash(bytes).to_le_bytes(), id[..8]);
        }
        None => assert_eq!(identity_hash(bytes), fnv(bytes)),
    }
}

proptest! {
    #[test]
    fn random_bytes_panic_no_parser(bytes in vec(any::<u8>(), 0..2048)) {
        check_callable(&bytes);
        check_args(&bytes);
        check_image(&bytes);
        let _ = CoreCallableView::parse(&bytes);
        let _ = CallConfig::parse(&bytes).map(|config| config.validate());
    }

    #[test]
    fn mutated_callables_are_refused_or_keep_their_promises(bytes in mutated_callable()) {
        check_callable(&bytes);
    }

    #[test]
    fn mutated_arguments_are_refused_or_keep_their_promises(
        bytes in mutated(args_blob(&vec![tensor(1, &[2, 3, 4], 0, 0); 3], &[1, 2, 3])),
    ) {
        check_args(&bytes);
    }

    #[test]
    fn mutated_images_have_an_identity(
        bytes in mutated(elf(&[
            (1, vec![1; 16]),
            (4, [note(b"GNU\0", 1, &[0; 16]), note(b"GNU\0", 3, &[0xA5; 20])].concat()),
        ])),
    ) {
        check_image(&bytes);
    }

    #[test]
    fn mutated_settings_are_refused_or_valid(
        bytes in mutated([vec![1, 0, 0, 0, 2, 0, 0, 0], vec![0; 1036]].concat()),
    ) {
        let valid = CallConfig::parse(&bytes).ok().filter(|config| config.validate().is_ok());
        if let Some(config) = valid {
            assert!(config.block_dim >= 1 && config.aicpu_thread_num >= 1);
            assert!(config.output_prefix().is_ok());
        }
    }
}

/// Runs every single-byte change of a small callable through the parser.
#[test]
fn every_flipped_byte_of_a_callable_is_refused_or_keeps_its_promises() {
    let blob = two_kernels();
    // The unused parts of the two tables all behave alike.
    let interesting = (0..348).chain(4428..4440).chain(8520..blob.len());
    for at in interesting {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bytes = blob.clone();
            bytes[at] ^= flip;
            check_callable(&bytes);
        }
    }
}
