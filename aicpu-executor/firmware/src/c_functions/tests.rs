//! Compares the C functions with the slice operations of `core`, at every small size and distance.

use std::vec::Vec;

use super::*;

/// Larger than two words, so that the word loop and both of its rests are met.
const SIZES: core::ops::Range<usize> = 0..27;

/// Bytes 1, 2, 3, …: all different, none zero.
fn counted(bytes: usize) -> Vec<u8> {
    (1..=u8::try_from(bytes).expect("small sizes only")).collect()
}

#[test]
fn copies_exactly_the_bytes_asked_for() {
    for bytes in SIZES {
        let from = counted(bytes);
        let mut to = std::vec![0xEE_u8; bytes + 2];
        // SAFETY: one byte is left on each side of `bytes`.
        let end = unsafe { memcpy(to.as_mut_ptr().add(1).cast(), from.as_ptr().cast(), bytes) };
        assert_eq!(end.cast::<u8>().cast_const(), to[1..].as_ptr());
        let expected: Vec<u8> = [&[0xEE][..], &from, &[0xEE]].concat();
        assert_eq!(to, expected, "{bytes} bytes");
    }
}

#[test]
fn moves_overlapping_bytes_in_both_directions_at_every_distance() {
    for bytes in SIZES {
        for (from, to) in (0..20).flat_map(|from| (0..20).map(move |to| (from, to))) {
            let mut expected = counted(50);
            expected.copy_within(from..from + bytes, to);
            let mut moved = counted(50);
            let start = moved.as_mut_ptr();
            // SAFETY: both ranges end below 20 + 27, inside the 50 bytes.
            unsafe { memmove(start.add(to).cast(), start.add(from).cast_const().cast(), bytes) };
            assert_eq!(moved, expected, "{bytes} bytes from {from} to {to}");
        }
    }
}

#[test]
fn fills_with_the_low_byte_and_nothing_beyond() {
    for bytes in SIZES {
        let mut memory = counted(30);
        // SAFETY: `1 + bytes` is below 30.
        unsafe { memset(memory.as_mut_ptr().add(1).cast(), 0x1_A5, bytes) };
        let mut expected = counted(30);
        expected[1..1 + bytes].fill(0xA5);
        assert_eq!(memory, expected, "{bytes} bytes");
    }
}

#[test]
fn compares_memory_as_unsigned_bytes() {
    // (left, right, bytes, order)
    let cases: [(&[u8], &[u8], usize, core::cmp::Ordering); 5] = [
        (b"abc", b"abc", 3, core::cmp::Ordering::Equal),
        (b"abc", b"abd", 3, core::cmp::Ordering::Less),
        (b"abd", b"abc", 2, core::cmp::Ordering::Equal),
        (b"\x80", b"\x7F", 1, core::cmp::Ordering::Greater),
        (b"", b"", 0, core::cmp::Ordering::Equal),
    ];
    for (left, right, bytes, order) in cases {
        let (a, b) = (left.as_ptr().cast(), right.as_ptr().cast());
        // SAFETY: `bytes` is at most the length of both.
        let (value, equal) = unsafe { (memcmp(a, b, bytes), bcmp(a, b, bytes)) };
        assert_eq!((value.cmp(&0), equal == 0), (order, order.is_eq()), "{left:?} {right:?}");
    }
}

#[test]
fn compares_texts_up_to_the_end_or_the_limit() {
    let order = |left: &core::ffi::CStr, right: &core::ffi::CStr, limit: usize| {
        // SAFETY: both end with NUL.
        unsafe { strncmp(left.as_ptr(), right.as_ptr(), limit) }.cmp(&0)
    };
    assert_eq!(order(c"abc", c"abd", 2), core::cmp::Ordering::Equal);
    assert_eq!(order(c"abc", c"abd", 3), core::cmp::Ordering::Less);
    assert_eq!(order(c"ab", c"abc", 9), core::cmp::Ordering::Less);
    assert_eq!(order(c"ab", c"ab", usize::MAX), core::cmp::Ordering::Equal);
    // SAFETY: both end with NUL.
    let whole = unsafe { strcmp(c"b".as_ptr(), c"abc".as_ptr()) };
    assert_eq!(whole, 1);
    // SAFETY: both end with NUL.
    let lengths = unsafe { (strlen(c"".as_ptr()), strlen(c"four".as_ptr())) };
    assert_eq!(lengths, (0, 4));
}

#[test]
fn finds_every_function_and_nothing_else() {
    for name in ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen", "strcmp", "strncmp"] {
        assert!(find(name.as_bytes()).is_some_and(|address| address != 0), "{name}");
    }
    assert_eq!(find(b"malloc"), None);
    assert_eq!(find(b"memcpy\0"), None);
}
