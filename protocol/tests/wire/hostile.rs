//! Property tests: no input makes a parser panic, and whatever it accepts keeps its promises.

use crate::promises::{check_args, check_callable, check_config, check_graph, check_image};
use crate::sample::{args_blob, elf, graph, note, put, tensor, two_kernels};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use protocol::{CallConfig, CoreCallableView, GraphView};

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

proptest! {
    #[test]
    fn random_bytes_panic_no_parser(bytes in vec(any::<u8>(), 0..2048)) {
        check_callable(&bytes);
        check_args(&bytes);
        check_image(&bytes);
        check_graph(&bytes);
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
    fn mutated_graphs_are_refused_or_keep_their_promises(bytes in mutated(graph())) {
        check_graph(&bytes);
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
        check_config(&bytes);
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

/// Every single-byte change of a graph, and the graph itself, which is accepted.
#[test]
fn every_flipped_byte_of_a_graph_is_refused_or_keeps_its_promises() {
    let whole = graph();
    let words: Vec<u64> = whole
        .chunks(8)
        .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        .collect();
    let bytes = &zerocopy::IntoBytes::as_bytes(&words[..])[..whole.len()];
    assert_eq!(GraphView::parse(bytes).unwrap().header.number, 5);
    for at in 0..whole.len() {
        for flip in [0x01, 0x02, 0x80, 0xFF] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            check_graph(&bytes);
        }
    }
}
