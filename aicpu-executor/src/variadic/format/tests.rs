//! The formatter on formats that C programs should not contain, with and without arguments.
//! (Regular formats are compared with the C library in `tests/variadic.rs`.)

extern crate std;

use super::format;
use crate::variadic::message::Message;
use crate::variadic::source::{ArgumentSource, StringArgument};

/// Integer arguments, and then no more; other kinds are missing from the start.
struct Integers<'a>(&'a [u64]);

impl ArgumentSource for Integers<'_> {
    fn next_u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn next_f64(&mut self) -> Option<f64> {
        None
    }

    fn next_long_double(&mut self) -> Option<f64> {
        None
    }

    fn next_string(&mut self, _limit: usize) -> Option<StringArgument<'_>> {
        None
    }
}

/// A string argument that tells how much of it was asked for.
struct Text<'a> {
    text: &'a [u8],
    asked: usize,
}

impl ArgumentSource for Text<'_> {
    fn next_u64(&mut self) -> Option<u64> {
        None
    }

    fn next_f64(&mut self) -> Option<f64> {
        None
    }

    fn next_long_double(&mut self) -> Option<f64> {
        None
    }

    fn next_string(&mut self, limit: usize) -> Option<StringArgument<'_>> {
        self.asked = limit;
        Some(StringArgument::Bytes(&self.text[..limit.min(self.text.len())]))
    }
}

fn integers(text: &str, arguments: &[u64]) -> Message<64> {
    format(text.as_bytes(), &mut Integers(arguments))
}

#[test]
fn copies_a_format_that_ends_inside_a_conversion() {
    for text in ["%", "a%", "%-", "%5", "%5.", "%.3l", "%hh", "100%"] {
        assert_eq!(integers(text, &[1, 2]).as_str(), text);
    }
}

#[test]
fn an_unknown_conversion_ends_formatting() {
    assert_eq!(integers("%d %y %d", &[1, 2]).as_str(), "1 %y %d");
    assert_eq!(integers("%1$d %d", &[1, 2]).as_str(), "%1$d %d");
    assert_eq!(integers("%m|%d", &[1]).as_str(), "%m|%d");
    assert_eq!(integers("%\u{e9}%d", &[1]).as_str(), "%\u{e9}%d");
}

#[test]
fn copies_the_rest_once_arguments_run_out() {
    assert_eq!(integers("%d-%d-%d!", &[1]).as_str(), "1-%d-%d!");
    assert_eq!(integers("%*d", &[]).as_str(), "%*d");
    assert_eq!(integers("%*.*d", &[3, 2]).as_str(), "%*.*d");
    for text in ["%f", "%Lg", "%s", "%ls", "%c", "%p", "%n", "%x", "%.*s"] {
        assert_eq!(integers(text, &[]).as_str(), text);
    }
}

#[test]
fn refuses_to_store_the_count_but_takes_its_argument() {
    assert_eq!(integers("a%nb%d", &[0xdead_0000, 7]).as_str(), "ab7");
    assert_eq!(integers("%hhn%ln%d", &[1, 2, 7]).as_str(), "7");
}

#[test]
fn does_not_look_into_wide_strings() {
    assert_eq!(integers("%5ls|%d", &[0xdead_0000, 7]).as_str(), "%5ls|7");
}

#[test]
fn huge_widths_and_precisions_cost_no_more_than_the_buffer() {
    let digits = "9".repeat(10_000);
    let blanks = " ".repeat(64);
    let zeros = "0".repeat(64);
    for (text, expected) in [
        (std::format!("%{digits}d"), &blanks),
        (std::format!("%0{digits}d"), &zeros),
        (std::format!("%.{digits}d"), &zeros),
        (std::format!("%{digits}.{digits}d"), &zeros),
        ("%2147483647c".into(), &blanks),
    ] {
        let message = integers(&text, &[5]);
        assert_eq!((message.as_str(), message.is_truncated()), (expected.as_str(), true));
    }
    let minimum = u64::from(i32::MIN.unsigned_abs());
    assert_eq!(integers("%*d", &[minimum, 5]).as_str(), std::format!("5{}", " ".repeat(63)));
}

#[test]
fn many_padded_conversions_end_once_the_buffer_is_full() {
    let text = "%2147483647d".repeat(100_000);
    let mut arguments = Integers(&[1; 3]);
    let message: Message<64> = format(text.as_bytes(), &mut arguments);
    assert!(message.is_truncated());
    assert_eq!(arguments.0.len(), 2, "a full buffer needs no further argument");
}

#[test]
fn asks_for_no_more_of_a_string_than_its_precision() {
    let mut text = Text { text: b"abcdef", asked: 0 };
    let message: Message<64> = format(b"%.4s", &mut text);
    assert_eq!((message.as_str(), text.asked), ("abcd", 4));
}

#[test]
fn asks_for_no_more_of_a_string_than_fits() {
    let mut text = Text { text: b"abcdefghijkl", asked: 0 };
    let message: Message<8> = format(b"12%s", &mut text);
    assert_eq!((message.as_str(), message.is_truncated()), ("12abcdef", true));
    assert_eq!(text.asked, 7);
}

#[test]
fn a_width_beyond_the_buffer_still_pads_by_the_real_length() {
    let mut text = Text { text: b"abcdefghijkl", asked: 0 };
    let message: Message<8> = format(b"%14s", &mut text);
    assert_eq!((message.as_str(), message.is_truncated()), ("  abcdef", true));
}

#[test]
fn bytes_that_are_no_text_become_question_marks() {
    assert_eq!(integers("%c%c", &[0xff, 0x41]).as_str(), "?A");
    assert_eq!(integers("%lc", &[0x20ac]).as_str(), "\u{20ac}");
    assert_eq!(integers("%lc", &[0xd800]).as_str(), "\u{fffd}");
}

#[test]
fn only_the_named_part_of_a_slot_counts() {
    let garbage = 0xaaaa_aaaa_0000_0000;
    assert_eq!(integers("%d %u", &[garbage | 5, garbage | 6]).as_str(), "5 6");
    assert_eq!(integers("%hhd %hu", &[0xff80, 0x1_0002]).as_str(), "-128 2");
}
