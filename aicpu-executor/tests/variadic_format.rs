//! The formatter and the C library's `snprintf` print random conversions of random values alike,
//! and no format whatsoever upsets the formatter.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::{CString, c_char, c_int};

use aicpu_executor::variadic::{ArgumentSource, StringArgument, format};
use proptest::prelude::*;

/// Room for every text that the C library makes here.
const CAPACITY: usize = 6000;

#[derive(Debug, Clone)]
enum Value {
    Integer(u64),
    Double(f64),
    Text(Option<CString>),
}

/// The arguments of a call: `*` values, then the value to print.
struct Arguments {
    left: std::vec::IntoIter<Value>,
    text: CString,
}

impl Arguments {
    fn new(values: Vec<Value>) -> Self {
        Self { left: values.into_iter(), text: CString::default() }
    }
}

impl ArgumentSource for Arguments {
    fn next_u64(&mut self) -> Option<u64> {
        match self.left.next()? {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    fn next_f64(&mut self) -> Option<f64> {
        match self.left.next()? {
            Value::Double(value) => Some(value),
            _ => None,
        }
    }

    fn next_long_double(&mut self) -> Option<f64> {
        self.next_f64()
    }

    fn next_string(&mut self, limit: usize) -> Option<StringArgument<'_>> {
        match self.left.next()? {
            Value::Text(None) => Some(StringArgument::Null),
            Value::Text(Some(text)) => {
                self.text = text;
                let bytes = self.text.as_bytes();
                Some(StringArgument::Bytes(&bytes[..limit.min(bytes.len())]))
            }
            _ => None,
        }
    }
}

/// A conversion specification and its `*` values.
#[derive(Debug, Clone)]
struct Conversion {
    text: String,
    stars: Vec<c_int>,
}

impl Conversion {
    /// What the C library prints.
    fn by_c(&self, value: &Value) -> String {
        let mut buffer = vec![0_u8; CAPACITY + 1];
        let format = CString::new(self.text.as_str()).unwrap();
        let (out, size, format) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len(), &format);
        macro_rules! print {
            ($value:expr) => {
                // SAFETY: the buffer has this size; the stars and the value match the format, an
                // integer being passed in its whole slot, of which C takes the lower part.
                unsafe {
                    match *self.stars.as_slice() {
                        [] => libc::snprintf(out, size, format.as_ptr(), $value),
                        [a] => libc::snprintf(out, size, format.as_ptr(), a, $value),
                        [a, b] => libc::snprintf(out, size, format.as_ptr(), a, b, $value),
                        _ => panic!("a conversion has at most two stars"),
                    }
                }
            };
        }
        let printed = match value {
            Value::Integer(value) => print!(*value),
            Value::Double(value) => print!(*value),
            Value::Text(text) => {
                print!(text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()))
            }
        };
        buffer.truncate(usize::try_from(printed).unwrap());
        assert!(buffer.len() <= CAPACITY);
        String::from_utf8(buffer).unwrap()
    }

    /// What the formatter prints.
    fn by_formatter(&self, value: &Value) -> String {
        let stars = self.stars.iter().map(|star| Value::Integer(*star as u64));
        let mut arguments = Arguments::new(stars.chain([value.clone()]).collect());
        format::<CAPACITY>(self.text.as_bytes(), &mut arguments).as_str().to_owned()
    }
}

/// Conversions with any of `flags`, and widths and precisions given in both ways.
fn conversion(
    flags: &'static str,
    precisions: std::ops::Range<c_int>,
    lengths: &'static [&'static str],
    letters: &'static [&'static str],
) -> impl Strategy<Value = Conversion> {
    let flags = proptest::sample::subsequence(flags.chars().collect::<Vec<_>>(), 0..=flags.len());
    let width = prop_oneof![Just(None), (any::<bool>(), -40..40_i32).prop_map(Some)];
    let precision = prop_oneof![
        Just(None),
        Just(Some((false, -1))),
        (any::<bool>(), -2..6_i32).prop_map(Some),
        (any::<bool>(), precisions).prop_map(Some),
    ];
    let names = (proptest::sample::select(lengths), proptest::sample::select(letters));
    (flags, width, precision, names).prop_map(|(flags, width, precision, (length, letter))| {
        let mut text = format!("[%{}", flags.into_iter().collect::<String>());
        let mut stars = Vec::new();
        match width {
            Some((true, width)) => {
                text.push('*');
                stars.push(width);
            }
            Some((false, width)) if width > 0 => text.push_str(&width.to_string()),
            _ => {}
        }
        match precision {
            Some((true, precision)) => {
                text.push_str(".*");
                stars.push(precision);
            }
            Some((false, precision)) if precision >= 0 => text.push_str(&format!(".{precision}")),
            Some(_) => text.push('.'),
            None => {}
        }
        text.push_str(length);
        text.push_str(letter);
        text.push(']');
        Conversion { text, stars }
    })
}

fn integers() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 1 << 31, u64::from(u32::MAX), 1 << 63];
    prop_oneof![
        any::<u64>(),
        any::<i16>().prop_map(|value| i64::from(value).cast_unsigned()),
        proptest::sample::select(edges.as_slice().to_vec()),
        Just(u64::MAX),
    ]
}

fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -1e9..1e9_f64,
        // Exact ties of decimal rounding.
        (-100_000..100_000_i32, 0..20_i32).prop_map(|(n, shift)| f64::from(n) / 2_f64.powi(shift)),
        // What people write, and carries such as 9.9999 to 10.
        (-100_000..100_000_i32, -12..12_i32).prop_map(|(n, e)| f64::from(n) * 10_f64.powi(e)),
        (0..60_i32, 0..20_i32).prop_map(|(a, b)| 10_f64.powi(a) - 10_f64.powi(-b)),
        proptest::sample::select(vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1)]),
        proptest::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN]),
    ]
}

const INTEGER_LENGTHS: &[&str] = &["", "hh", "h", "l", "ll", "z", "j", "t"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn integers_print_as_in_c(
        conversion in conversion("-+ #0", 0..40, INTEGER_LENGTHS, &["d", "i", "u", "o", "x", "X"]),
        value in integers().prop_map(Value::Integer),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    #[test]
    fn pointers_print_as_in_c(
        conversion in conversion("-", 0..40, &[""], &["p"]),
        value in integers().prop_map(Value::Integer),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    #[test]
    fn characters_print_as_in_c(
        conversion in conversion("-", 0..4, &[""], &["c"]),
        value in (1..128_u64).prop_map(Value::Integer),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    #[test]
    fn doubles_print_as_in_c(
        conversion in conversion(
            "-+ #0", 0..40, &["", "l"], &["f", "F", "e", "E", "a", "A"]
        ),
        value in doubles().prop_map(Value::Double),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    // Without `#`: see the_alternate_form_of_g_keeps_its_zeros.
    #[test]
    fn doubles_in_the_shorter_style_print_as_in_c(
        conversion in conversion("-+ 0", 0..40, &["", "l"], &["g", "G"]),
        value in doubles().prop_map(Value::Double),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    #[test]
    fn strings_print_as_in_c(
        conversion in conversion("-", 0..40, &[""], &["s"]),
        value in proptest::option::of("[ -~]{0,60}")
            .prop_map(|text| Value::Text(text.map(|text| CString::new(text).unwrap()))),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }

    #[test]
    fn any_format_gives_a_bounded_text(
        text in prop_oneof![
            "[-%+ #0*.1-9hlzjtLdiouxXcspfFeEgGaAn]{0,40}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..200),
        ],
        values in proptest::collection::vec(prop_oneof![
            integers().prop_map(Value::Integer),
            doubles().prop_map(Value::Double),
            proptest::option::of("\\PC{0,60}")
                .prop_map(|text| Value::Text(text.map(|text| CString::new(text).unwrap()))),
        ], 0..12),
    ) {
        let whole = format::<CAPACITY>(&text, &mut Arguments::new(values.clone()));
        let cut = format::<50>(&text, &mut Arguments::new(values));
        prop_assert!(whole.as_str().starts_with(cut.as_str()));
        prop_assert_eq!(cut.is_truncated(), whole.as_str().len() > cut.as_str().len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn doubles_print_as_in_c_at_precisions_past_their_last_digit(
        conversion in conversion("-+ 0", 40..2000, &[""], &["f", "e", "g", "a"]),
        value in doubles().prop_map(Value::Double),
    ) {
        prop_assert_eq!(conversion.by_formatter(&value), conversion.by_c(&value));
    }
}

/// glibc drops the zeros if rounding carries into a new digit (`%#g` of 999999.9 is `1.e+06`),
/// which C does not allow; so these are compared with what C says.
#[test]
fn the_alternate_form_of_g_keeps_its_zeros() {
    for (text, value, expected) in [
        ("%#g", 999_999.9, "1.00000e+06"),
        ("%#.3g", 999.9, "1.00e+03"),
        ("%#.1g", 9.9, "1.e+01"),
        ("%#g", 999_999.4, "999999."),
        ("%#g", 100_000.0, "100000."),
        ("%#g", 0.0, "0.00000"),
        ("%#G", 1e-5, "1.00000E-05"),
        ("%#.0g", 3.0, "3."),
        ("%#.10g", 0.000_123_45, "0.0001234500000"),
        ("%#-16g|", -0.5, "-0.500000       |"),
    ] {
        let printed =
            format::<64>(text.as_bytes(), &mut Arguments::new(vec![Value::Double(value)]));
        assert_eq!(printed.as_str(), expected, "{text} of {value}");
    }
    let many = format::<2000>(b"%#.1500g", &mut Arguments::new(vec![Value::Double(1e-5)]));
    assert!(
        many.as_str().starts_with("1.0000000000000000818") && many.as_str().ends_with("000e-05")
    );
    assert_eq!(many.as_str().len(), 1500 + ".e-05".len());
}
