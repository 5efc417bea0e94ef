//! Frames as text: good ones, and bytes of every other kind.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::LogDecoderError;
use super::*;

/// Address of each text of the tests, as linked.
const STATEMENT: u16 = 0x21;
const RECORD: u16 = 0x22;
const U64: u16 = 0x01;
const WRITE: u16 = 0x02;
const SEQUENCE: u16 = 0x03;
const NAME: u16 = 0x04;
const NUMBERS: u16 = 0x23;

/// Where the image is in the tests: not at a multiple of 64 KiB.
const BIAS: u64 = 0x7F12_3456_7000;

fn texts() -> Texts {
    let symbol = |tag: &str, data: &str| {
        format!(
            r#"{{"package":"p","tag":"{tag}","data":"{data}","disambiguator":"1","crate_name":"c"}}"#
        )
    };
    let table = [
        (STATEMENT, "defmt_warn", "loaded {} {}: {=usize} bytes at {:#x}"),
        (RECORD, "defmt_error", "record {=u8} {=str} {=str} {=u32} {}"),
        (
            NUMBERS,
            "defmt_debug",
            "{=i8} {=i16} {=i32} {=i64} {=bool} {=char} {=[u8]} {=istr} {1=i16}{0=i8}",
        ),
        (U64, "defmt_prim", "{=u64}"),
        (WRITE, "defmt_write", "{=__internal_Display}"),
        (SEQUENCE, "defmt_prim", "{=__internal_FormatSequence}"),
        (NAME, "defmt_str", "a name"),
    ];
    let texts = table.map(|(address, tag, data)| (address, Text::of(&symbol(tag, data)).unwrap()));
    Texts::of(BTreeMap::from(texts))
}

/// A frame of these parts, of an image that was loaded `BIAS` bytes behind its addresses.
fn frame(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The bytes of an address, as the image sends it.
fn sent(address: u16) -> [u8; 2] {
    // CAST: the low bits.
    address.wrapping_add(BIAS as u16).to_le_bytes()
}

fn good() -> Vec<u8> {
    frame(&[
        &sent(STATEMENT),
        &sent(U64),
        &7_u64.to_le_bytes(),
        &sent(SEQUENCE),
        &sent(WRITE),
        "l\u{e9}\u{ff}".as_bytes(),
        &[0xFF],
        &[0, 0],
        &4096_u32.to_le_bytes(),
        &sent(U64),
        &0xABC_u64.to_le_bytes(),
    ])
}

#[test]
fn a_statement_is_shown_with_its_arguments_wherever_the_image_lies() {
    let shown = statement(&texts(), BIAS, &good()).unwrap();
    assert_eq!((shown.level, shown.address), (Level::Warn, STATEMENT));
    let text = "loaded 7 l\u{e9}\u{ff}: 4096 bytes at 0xabc";
    assert_eq!(shown.said, Said::Statement(text.to_owned()));
}

#[test]
fn a_record_with_a_text_of_its_own_has_its_parts_apart() {
    let string = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let record = |file: &str, line: u32| {
        frame(&[
            &sent(RECORD),
            &[9],
            &string("entry"),
            &string(file),
            &line.to_le_bytes(),
            &sent(WRITE),
            b"a {} text\xFF",
        ])
    };
    let said = |place: Option<(&str, u32)>| Said::Record {
        tier: 9,
        origin: "entry".to_owned(),
        place: place.map(|(file, line)| (file.to_owned(), line)),
        text: "a {} text".to_owned(),
    };
    let texts = texts();
    let shown = statement(&texts, BIAS, &record("a.rs", 70_000)).unwrap();
    assert_eq!((shown.level, shown.said), (Level::Error, said(Some(("a.rs", 70_000)))));
    assert_eq!(statement(&texts, BIAS, &record("", 0)).unwrap().said, said(None));
}

#[test]
fn arguments_of_every_type_are_shown_in_the_order_of_the_text() {
    let bytes = frame(&[
        &sent(NUMBERS),
        &(-1_i8).to_le_bytes(),
        &(-300_i16).to_le_bytes(),
        &(-70_000_i32).to_le_bytes(),
        &i64::MIN.to_le_bytes(),
        &[1],
        &('\u{e9}' as u32).to_le_bytes(),
        &2_u32.to_le_bytes(),
        &[5, 6],
        &sent(NAME),
    ]);
    let shown = statement(&texts(), BIAS, &bytes).unwrap();
    let text = "-1 -300 -70000 -9223372036854775808 true \u{e9} [5, 6] a name -300-1";
    assert_eq!(shown.said, Said::Statement(text.to_owned()));
}

#[test]
fn what_is_no_frame_is_named() {
    let texts = texts();
    let of = |bytes: &[u8]| statement(&texts, BIAS, bytes).unwrap_err();
    for bytes in 0..good().len() {
        let error = of(&good()[..bytes]);
        assert!(matches!(error, FrameError::Truncated), "{bytes} bytes: {error}");
    }
    assert_eq!(of(&[0, 0]), FrameError::UnknownText { address: 0 });
    assert!(matches!(of(&sent(U64)), FrameError::NoStatement { .. }));
    let more = [good(), vec![1, 2]].concat();
    assert!(matches!(of(&more), FrameError::Trailing { bytes: 2, .. }));
    // A page further on, no text is where it was.
    let moved = statement(&texts, BIAS + 0x1000, &good()).unwrap_err();
    assert!(matches!(moved, FrameError::UnknownText { .. }), "{moved}");
    let mut not_utf8 = good();
    let at = not_utf8.iter().position(|byte| *byte == b'l').unwrap();
    not_utf8[at] = 0xC0;
    assert_eq!(of(&not_utf8), FrameError::NoText);
    let long = frame(&[&sent(RECORD), &[9], &u32::MAX.to_le_bytes(), b"x"]);
    assert_eq!(of(&long), FrameError::Truncated);
}

#[test]
fn formats_within_formats_end_somewhere() {
    let deep = frame(&[&sent(STATEMENT), &sent(SEQUENCE).repeat(30_000)]);
    assert_eq!(statement(&texts(), BIAS, &deep), Err(FrameError::TooDeep));
}

#[test]
fn a_text_with_an_argument_that_cannot_be_read_is_refused() {
    let symbol = r#"{"package":"p","tag":"defmt_info","data":"{=[?]}","crate_name":"c"}"#;
    let error = Text::of(symbol).unwrap_err();
    assert!(
        matches!(&error, LogDecoderError::Argument { kind, .. } if kind == "FormatSlice"),
        "{error}"
    );
    for malformed in [
        "{",
        "{}",
        r#"{"tag":"defmt_info","data":"{=u9}"}"#,
        r#"{"tag":"defmt_info","data":"{2=u8}"}"#,
    ] {
        let error = Text::of(malformed).unwrap_err();
        assert!(matches!(error, LogDecoderError::Symbol { .. }), "{malformed}: {error}");
    }
}

proptest! {
    /// Whatever the bytes are, there is an answer.
    #[test]
    fn no_bytes_do_harm(
        start in proptest::sample::select(vec![STATEMENT, RECORD, NUMBERS, U64, SEQUENCE]),
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..0x24, Just(0x70_u8)], 0..300),
        bias in prop_oneof![Just(BIAS), any::<u64>()],
    ) {
        let frame = [&sent(start)[..], &bytes].concat();
        let _whatever = statement(&texts(), bias, &frame);
    }

    /// A good frame with some bytes changed.
    #[test]
    fn no_change_does_harm(changes in proptest::collection::vec((0_usize..64, any::<u8>()), 1..4)) {
        let mut bytes = good();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _whatever = statement(&texts(), BIAS, &bytes);
    }
}
