//! `printf` formatting without C: format bytes and an [`ArgumentSource`] become a [`Message`].
//!
//! Apart from the `va_list` because it is safe code that any source of arguments can drive.
//! `spec` reads one conversion specification, `integer` and `float` turn a value into digits,
//! `field` lays sign, zeros, digits and padding out; this file walks the format and picks.
//!
//! Supported is what C99 offers a log line: flags `-+ #0`, width and precision also as `*`,
//! lengths `hh h l ll z j t L`, conversions `d i u o x X c s p f F e E g G a A` and `%%`. Output is
//! what glibc's `snprintf` gives in the C locale. `%n` writes to memory and is refused: it takes
//! its argument and prints nothing. `%ls` takes its argument and prints itself. With anything
//! else the types of all later arguments are unknown, so the format is copied from there on.

mod field;
mod float;
mod integer;
mod spec;

use super::message::{Message, Output};
use super::source::{ArgumentSource, StringArgument};
use field::Field;
use spec::{Length, Spec};

/// Formats `format` with `arguments` into at most `N` bytes.
///
/// Never fails: see the module text for what happens to conversions that are not supported; when
/// `arguments` runs out, the rest of the format is copied. Once `N` bytes are full, no further
/// argument is looked at. Time is bounded by the lengths of `format`, of the strings, and `N`.
#[must_use]
pub fn format<const N: usize>(format: &[u8], arguments: &mut impl ArgumentSource) -> Message<N> {
    Message::written_by(|output| write_all(output, format, arguments))
}

fn write_all(output: &mut Output<'_>, format: &[u8], arguments: &mut dyn ArgumentSource) {
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|byte| *byte == b'%') {
        let (plain, conversion) = rest.split_at(percent);
        output.push(plain);
        rest = conversion;
        if output.remaining() == 0 {
            break;
        }
        let Some(consumed) = write_conversion(output, conversion, arguments) else { break };
        rest = conversion.get(consumed..).unwrap_or_default();
    }
    output.push(rest);
}

/// Writes the conversion that `text` begins with and returns its length in the format; `None`, and
/// nothing written, if it is unknown or has no argument.
fn write_conversion(
    output: &mut Output<'_>,
    text: &[u8],
    arguments: &mut dyn ArgumentSource,
) -> Option<usize> {
    let (spec, consumed) = Spec::parse(text, arguments)?;
    match spec.conversion {
        b'%' => output.push(b"%"),
        b'd' | b'i' => {
            integer::write_signed(output, &spec, spec.length.signed(arguments.next_u64()?));
        }
        b'u' | b'o' | b'x' | b'X' => {
            integer::write_unsigned(output, &spec, spec.length.unsigned(arguments.next_u64()?));
        }
        b'p' => integer::write_pointer(output, &spec, arguments.next_u64()?),
        b'c' => write_character(output, &spec, arguments.next_u64()?),
        b's' if spec.length == Length::Long => {
            // A wide string: four-byte characters in an encoding of the C library's choice.
            arguments.next_u64()?;
            output.push(text.get(..consumed)?);
        }
        b's' => write_string(output, &spec, arguments)?,
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
            let value = match spec.length {
                Length::LongDouble => arguments.next_long_double()?,
                _ => arguments.next_f64()?,
            };
            float::write(output, &spec, value);
        }
        b'n' => {
            arguments.next_u64()?;
        }
        _ => return None,
    }
    Some(consumed)
}

fn write_character(output: &mut Output<'_>, spec: &Spec, slot: u64) {
    // An int that C converts to unsigned char, or a wint_t.
    let mut utf8 = [0; 4];
    let body: &[u8] = if spec.length == Length::Long {
        let character = char::from_u32(slot as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        character.encode_utf8(&mut utf8).as_bytes()
    } else {
        utf8[0] = slot as u8;
        &utf8[..1]
    };
    Field { body, ..Field::default() }.write(output, spec);
}

fn write_string(
    output: &mut Output<'_>,
    spec: &Spec,
    arguments: &mut dyn ArgumentSource,
) -> Option<()> {
    // More than this changes neither what is printed, nor the padding before it, nor the fact
    // that it was cut.
    let visible = output.remaining().saturating_add(1).max(spec.width);
    let limit = spec.precision.unwrap_or(usize::MAX);
    let body = match arguments.next_string(limit.min(visible))? {
        StringArgument::Bytes(bytes) => bytes,
        // As glibc: the name of the null pointer is not cut, but left out if it does not fit.
        StringArgument::Null if limit < b"(null)".len() => b"",
        StringArgument::Null => b"(null)",
    };
    Field { body, ..Field::default() }.write(output, spec);
    Some(())
}

#[cfg(test)]
mod tests;
