//! Callables: what a valid one yields, and the error of each way to be invalid.

use crate::sample::{CODE, Parts, STORAGE, callable, kernel, put, two_kernels};
use protocol::{
    ArgDirection, ChipCallableView, CoreCallableView, FuncId, IdOutOfRange, UnknownValue, WireError,
};

/// Parses a copy of `blob` after `change`.
#[track_caller]
fn check(blob: &[u8], change: impl FnOnce(&mut Vec<u8>), expected: WireError) {
    let mut blob = blob.to_vec();
    change(&mut blob);
    assert_eq!(ChipCallableView::parse(&blob), Err(expected));
    assert!(!expected.to_string().is_empty());
}

fn set_u32(at: usize, number: u32) -> impl FnOnce(&mut Vec<u8>) {
    move |blob| put(blob, at, number.to_le_bytes())
}

#[test]
fn valid_callable_yields_its_parts() {
    let blob = two_kernels();
    let view = ChipCallableView::parse(&blob).unwrap();
    let directions: Vec<_> = view.signature().iter().collect();
    use ArgDirection::{In, InOut, Out, Scalar};
    assert_eq!(directions, [In, In, Out, Scalar]);
    assert_eq!((view.signature().len(), view.signature().get(2)), (4, Some(Out)));
    assert_eq!(view.signature().get(4), None);
    assert_eq!(view.orchestration(), [0x11; 100]);
    assert_eq!((view.entry_symbol(), view.config_symbol()), ("build_graph", "graph_config"));
    assert_eq!(view.child_count(), 2);
    assert_eq!(view.blob().len(), STORAGE + 320 + CODE + 20);

    let children: Vec<_> = view.children().collect();
    let [(first_id, first), (second_id, second)] = children[..] else { panic!("two kernels") };
    assert_eq!((first_id.raw(), second_id.raw()), (7, 1023));
    assert_eq!((first.binary, second.binary), (&[0xA7; 10][..], &[0xB3; 20][..]));
    assert_eq!(first.signature.iter().collect::<Vec<_>>(), [In, Out]);
    assert_eq!(second.signature.iter().collect::<Vec<_>>(), [InOut]);
    assert_eq!(first.blob, kernel(&[1, 2], &[0xA7; 10]));
    assert_eq!(first.resolved_addr, 0);
}

#[test]
fn missing_names_are_the_default_symbols() {
    let blob = callable(&Parts { image: &[1], ..Parts::default() });
    let view = ChipCallableView::parse(&blob).unwrap();
    assert_eq!(view.entry_symbol(), "aicpu_orchestration_entry");
    assert_eq!(view.config_symbol(), "aicpu_orchestration_config");
    assert_eq!((view.child_count(), view.children().count()), (0, 0));
    assert!(view.signature().is_empty());
}

#[test]
fn full_tables_are_accepted() {
    let kernels: Vec<_> = (0..1024).rev().map(|id| (id, kernel(&[0; 16], &[1]))).collect();
    let name = "n".repeat(63);
    let blob = callable(&Parts {
        signature: &[3; 64],
        image: &[1; 64],
        entry: &name,
        config: &name,
        kernels: &kernels,
    });
    let view = ChipCallableView::parse(&blob).unwrap();
    assert_eq!(view.signature().len(), 64);
    assert_eq!((view.entry_symbol(), view.config_symbol()), (&name[..], &name[..]));
    let ids: Vec<_> = view.children().map(|(id, _)| id.raw()).collect();
    assert_eq!(ids, (0..1024).rev().collect::<Vec<_>>());
}

#[test]
fn alignment_of_the_bytes_does_not_matter() {
    let blob = two_kernels();
    for shift in 0..8 {
        let mut buffer = vec![0xEE; shift];
        buffer.extend_from_slice(&blob);
        let view = ChipCallableView::parse(&buffer[shift..]).unwrap();
        assert_eq!(view.children().count(), 2);
    }
}

#[test]
fn s1_every_cut_is_refused() {
    let blob = two_kernels();
    for len in 0..blob.len() {
        assert!(ChipCallableView::parse(&blob[..len]).is_err(), "{len} of {}", blob.len());
    }
    let need = STORAGE;
    check(
        &blob,
        |b| b.truncate(8595),
        WireError::Truncated { what: "callable header", need, have: 8595 },
    );
}

#[test]
fn bytes_after_the_last_kernel_are_refused() {
    let blob = two_kernels();
    let used = blob.len();
    check(&blob, |b| b.push(0), WireError::TrailingBytes { used, have: used + 1 });
}

#[test]
fn counts_outside_their_tables_are_refused() {
    let blob = two_kernels();
    for (at, what, limit) in [
        (256, "callable signature count", 64),
        (8524, "kernel count", 1024),
        (STORAGE + 128 + 64, "kernel signature count", 16),
    ] {
        for value in [-1, i32::MIN, i32::try_from(limit).unwrap() + 1, i32::MAX] {
            let error = WireError::CountOutOfRange { what, value: i64::from(value), limit };
            check(&blob, |b| put(b, at, value.to_le_bytes()), error);
        }
    }
}

#[test]
fn unknown_directions_are_refused_only_where_they_count() {
    let blob = two_kernels();
    for (at, value) in [(12, 4), (0, -1), (STORAGE + 320, 99)] {
        let unknown = UnknownValue { what: "ArgDirection", value: i64::from(value) };
        check(&blob, |b| put(b, at, i32::to_le_bytes(value)), WireError::UnknownValue(unknown));
    }
    let mut unused_slot = blob;
    put(&mut unused_slot, 16, 77i32.to_le_bytes());
    assert!(ChipCallableView::parse(&unused_slot).is_ok());
}

#[test]
fn image_must_be_inside_the_storage_and_not_empty() {
    let blob = two_kernels();
    let limit = blob.len() - STORAGE;
    let what = "orchestration image";
    let outside =
        |bytes: u32| WireError::OffsetOutOfRange { what, offset: 0, bytes: bytes as usize, limit };
    check(&blob, set_u32(260, u32::MAX), outside(u32::MAX));
    let one_more = u32::try_from(limit).unwrap() + 1;
    check(&blob, set_u32(260, one_more), outside(one_more));
    check(&blob, set_u32(260, 0), WireError::Empty { what });
}

#[test]
fn kernel_code_must_be_inside_the_storage_and_not_empty() {
    let blob = two_kernels();
    let size_at = STORAGE + 320 + 68;
    let what = "kernel code";
    check(&blob, set_u32(size_at, 0), WireError::Empty { what });
    for bytes in [21, u32::MAX] {
        // The area is what follows the kernel's start: 128 + 20 bytes.
        let (bytes_usize, limit) = (bytes as usize, CODE + 20);
        let error = WireError::OffsetOutOfRange { what, offset: CODE, bytes: bytes_usize, limit };
        check(&blob, set_u32(size_at, bytes), error);
    }
    let (used, have) = (blob.len() - 1, blob.len());
    check(&blob, set_u32(size_at, 19), WireError::TrailingBytes { used, have });
}

#[test]
fn kernels_must_start_at_multiples_of_64_inside_the_storage() {
    let blob = two_kernels();
    let second = 4428 + 4;
    let what = "kernel";
    check(&blob, set_u32(second, 324), WireError::Misaligned { what, offset: 324, align: 64 });
    let limit = blob.len() - STORAGE;
    for offset in [limit.next_multiple_of(64), 0xFFFF_FFC0] {
        let error = WireError::OffsetOutOfRange { what, offset, bytes: 80, limit };
        check(&blob, set_u32(second, u32::try_from(offset).unwrap()), error);
    }
    // The last multiple of 64 inside: the header is cut off.
    let header = WireError::Truncated { what: "kernel header", need: 80, have: limit - 448 };
    check(&blob, set_u32(second, 448), header);
}

#[test]
fn kernels_must_not_overlap_the_image_or_each_other() {
    let blob = two_kernels();
    let what = "kernel";
    let image_end = WireError::Overlap { what, offset: 64, previous_end: 100 };
    check(&blob, set_u32(4428, 64), image_end);
    // The first kernel ends at 128 + 138 = 266.
    let kernel_end = WireError::Overlap { what, offset: 256, previous_end: 266 };
    check(&blob, set_u32(4428 + 4, 256), kernel_end);
    let same = WireError::Overlap { what, offset: 128, previous_end: 266 };
    check(&blob, set_u32(4428 + 4, 128), same);
}

#[test]
fn func_ids_must_be_in_range_and_distinct() {
    let blob = two_kernels();
    for value in [-1, 1024, i32::MAX, i32::MIN] {
        let error = IdOutOfRange { what: "func id", value: i64::from(value), limit: 1024 };
        check(&blob, |b| put(b, 332, value.to_le_bytes()), WireError::IdOutOfRange(error));
    }
    let func_id = FuncId::new(7).unwrap();
    check(&blob, set_u32(332 + 4, 7), WireError::DuplicateFuncId { func_id });
    // Same bit of another word is another id.
    let mut other = blob;
    put(&mut other, 332 + 4, (7 + 64i32).to_le_bytes());
    assert!(ChipCallableView::parse(&other).is_ok());
}

#[test]
fn names_must_be_terminated_text_of_the_stated_length() {
    let blob = two_kernels();
    for (at, what) in [(264, "entry symbol"), (8528, "configuration symbol")] {
        let too_long = |value| WireError::CountOutOfRange { what, value, limit: 63 };
        check(&blob, set_u32(at + 64, 64), too_long(64));
        check(&blob, set_u32(at + 64, u32::MAX), too_long(i64::from(u32::MAX)));
        check(&blob, set_u32(at + 64, 5), WireError::NameNotTerminated { what });
        check(&blob, |b| b[at..at + 64].fill(b'x'), WireError::NameNotTerminated { what });
        check(&blob, |b| b[at + 3] = 0, WireError::NameHoldsNul { what, at: 3 });
        check(&blob, |b| b[at + 2] = 0xFF, WireError::NameNotUtf8 { what, valid_bytes: 2 });
    }
}

#[test]
fn single_kernel_parses_and_ignores_what_follows() {
    let mut bytes = kernel(&[1, 3], &[9; 5]);
    put(&mut bytes, 72, 0xABCD_u64.to_le_bytes());
    bytes.extend_from_slice(&[0xEE; 70]);
    let view = CoreCallableView::parse(&bytes).unwrap();
    assert_eq!((view.binary, view.resolved_addr), (&[9; 5][..], 0xABCD));
    assert_eq!(view.blob, &bytes[..CODE + 5]);
}
