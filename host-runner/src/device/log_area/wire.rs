//! The bytes of a frame, as text.
//!
//! A frame is the address of its statement and then the arguments, in the order of their numbers. All that it
//! leads to is in the table of texts; lengths and depths are those of the bytes at hand, so that no frame makes
//! this take more memory or stack than it is long.

use std::fmt::Write as _;

use aicpu_executor::log::Level;
use defmt_parser::{DisplayHint, Fragment, Type};

use super::FrameError;
use super::strings::{Text, Texts, Use};

/// How deep the formats of arguments may be nested. The executor's are nested three deep.
const DEPTH_MAX: usize = 16;

/// What the text of a record with a text of its own begins with (`aicpu_executor::log`).
const OWN_TEXT: &str = "record ";

/// A statement with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Address of its text, as linked.
    pub(super) address: u16,
    pub(super) level: Level,
    pub(super) said: Said,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A statement of the executor.
    Statement(String),
    /// A record with a text of its own, which is not in the table.
    Record {
        /// Verbosity tier.
        tier: u8,
        /// Who speaks.
        origin: String,
        /// File and line, if there are any.
        place: Option<(String, u32)>,
        /// The text.
        text: String,
    },
}

/// Whether arguments of this type can be read.
pub(super) fn is_known(kind: &Type) -> bool {
    !matches!(kind, Type::BitField(_) | Type::FormatArray(_) | Type::FormatSlice | Type::U8Array(_))
}

/// An argument.
#[derive(Debug, Clone)]
enum Argument<'t> {
    Unsigned(u128),
    Signed(i128),
    /// Everything that is shown as it is.
    Text(String),
    /// Values that bring their own texts.
    Nested(Vec<(&'t Text, Vec<Argument<'t>>)>),
}

/// Reads a frame whole, of an image that was loaded `bias` bytes behind its addresses.
pub(super) fn statement(texts: &Texts, bias: u64, frame: &[u8]) -> Result<Statement, FrameError> {
    let mut reader = Reader { texts, bias, rest: frame };
    let (address, text) = reader.text()?;
    let Use::Statement(level) = text.used_as else {
        return Err(FrameError::NoStatement { text: text.raw.clone() });
    };
    let arguments = reader.arguments(text, 0)?;
    if !reader.rest.is_empty() {
        return Err(FrameError::Trailing { text: text.raw.clone(), bytes: reader.rest.len() });
    }
    let said = record(text, &arguments).unwrap_or_else(|| {
        let mut line = String::new();
        show(text, &arguments, None, &mut line);
        Said::Statement(line)
    });
    Ok(Statement { address, level, said })
}

/// A record with a text of its own, if the frame is one.
fn record(text: &Text, arguments: &[Argument<'_>]) -> Option<Said> {
    if !text.raw.starts_with(OWN_TEXT) {
        return None;
    }
    let [
        Argument::Unsigned(tier),
        Argument::Text(origin),
        Argument::Text(file),
        Argument::Unsigned(line),
        text,
    ] = arguments
    else {
        return None;
    };
    let mut shown = String::new();
    show_argument(text, None, &mut shown);
    let place = (!file.is_empty()).then(|| (file.clone(), u32::try_from(*line).unwrap_or(0)));
    Some(Said::Record {
        tier: u8::try_from(*tier).ok()?,
        origin: origin.clone(),
        place,
        text: shown,
    })
}

/// What is left of a frame.
struct Reader<'t, 'b> {
    texts: &'t Texts,
    bias: u64,
    rest: &'b [u8],
}

impl<'t> Reader<'t, '_> {
    /// Takes so many bytes.
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Takes the address of a text, and finds that.
    fn text(&mut self) -> Result<(u16, &'t Text), FrameError> {
        let sent = u16::from_le_bytes(self.take()?);
        self.find(sent)
    }

    fn find(&self, sent: u16) -> Result<(u16, &'t Text), FrameError> {
        // CAST: a frame has the low bits of an address.
        let address = sent.wrapping_sub(self.bias as u16);
        let text = self.texts.at(address);
        text.map(|text| (address, text)).ok_or(FrameError::UnknownText { address: sent })
    }

    /// Takes the arguments of a text.
    fn arguments(&mut self, text: &Text, depth: usize) -> Result<Vec<Argument<'t>>, FrameError> {
        if depth > DEPTH_MAX {
            return Err(FrameError::TooDeep);
        }
        text.arguments.iter().map(|kind| self.argument(kind, depth)).collect()
    }

    fn argument(&mut self, kind: &Type, depth: usize) -> Result<Argument<'t>, FrameError> {
        Ok(match kind {
            Type::U8 => Argument::Unsigned(u8::from_le_bytes(self.take()?).into()),
            Type::U16 => Argument::Unsigned(u16::from_le_bytes(self.take()?).into()),
            Type::U32 | Type::Usize => Argument::Unsigned(u32::from_le_bytes(self.take()?).into()),
            Type::U64 => Argument::Unsigned(u64::from_le_bytes(self.take()?).into()),
            Type::U128 => Argument::Unsigned(u128::from_le_bytes(self.take()?)),
            Type::I8 => Argument::Signed(i8::from_le_bytes(self.take()?).into()),
            Type::I16 => Argument::Signed(i16::from_le_bytes(self.take()?).into()),
            Type::I32 | Type::Isize => Argument::Signed(i32::from_le_bytes(self.take()?).into()),
            Type::I64 => Argument::Signed(i64::from_le_bytes(self.take()?).into()),
            Type::I128 => Argument::Signed(i128::from_le_bytes(self.take()?)),
            Type::F32 => Argument::Text(f32::from_le_bytes(self.take()?).to_string()),
            Type::F64 => Argument::Text(f64::from_le_bytes(self.take()?).to_string()),
            Type::Bool => Argument::Text((u8::from_le_bytes(self.take()?) != 0).to_string()),
            Type::Char => {
                let character = char::from_u32(u32::from_le_bytes(self.take()?));
                Argument::Text(character.ok_or(FrameError::NoText)?.to_string())
            }
            Type::Str => Argument::Text(utf8(self.counted()?)?),
            Type::U8Slice => Argument::Text(format!("{:?}", self.counted()?)),
            Type::IStr => Argument::Text(self.text()?.1.raw.clone()),
            Type::Display | Type::Debug => {
                // No byte of a text is that.
                let end = self.rest.iter().position(|byte| *byte == 0xFF);
                let (text, rest) = self.rest.split_at(end.ok_or(FrameError::Truncated)?);
                self.rest = rest.get(1..).unwrap_or_default();
                Argument::Text(utf8(text)?)
            }
            Type::Format => {
                let (_, text) = self.text()?;
                Argument::Nested(vec![(text, self.arguments(text, depth + 1)?)])
            }
            Type::FormatSequence => Argument::Nested(self.sequence(depth)?),
            Type::BitField(_) | Type::FormatArray(_) | Type::FormatSlice | Type::U8Array(_) => {
                // `Texts::read` has refused texts with them.
                return Err(FrameError::TooDeep);
            }
        })
    }

    /// Takes bytes that follow their number.
    fn counted(&mut self) -> Result<&[u8], FrameError> {
        let bytes = usize::try_from(u32::from_le_bytes(self.take()?)).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes values that bring their own texts, up to the end of them.
    fn sequence(&mut self, depth: usize) -> Result<Vec<(&'t Text, Vec<Argument<'t>>)>, FrameError> {
        let mut parts = Vec::new();
        loop {
            let sent = u16::from_le_bytes(self.take()?);
            if sent == 0 {
                return Ok(parts);
            }
            let (_, text) = self.find(sent)?;
            parts.push((text, self.arguments(text, depth + 1)?));
        }
    }
}

/// Bytes as text.
fn utf8(bytes: &[u8]) -> Result<String, FrameError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| FrameError::NoText)
}

/// Appends a text with its arguments. `hint` is how numbers are to be shown that say nothing about it.
fn show(text: &Text, arguments: &[Argument<'_>], hint: Option<&DisplayHint>, line: &mut String) {
    for fragment in &text.fragments {
        match fragment {
            Fragment::Literal(literal) => line.push_str(literal),
            Fragment::Parameter(parameter) => {
                if let Some(argument) = arguments.get(parameter.index) {
                    show_argument(argument, parameter.hint.as_ref().or(hint), line);
                }
            }
        }
    }
}

fn show_argument(argument: &Argument<'_>, hint: Option<&DisplayHint>, line: &mut String) {
    // Writing to a string does not fail.
    let _written = match (argument, hint) {
        (Argument::Unsigned(number), Some(DisplayHint::Hexadecimal { alternate, .. })) => {
            write!(line, "{}{number:x}", if *alternate { "0x" } else { "" })
        }
        (Argument::Unsigned(number), _) => write!(line, "{number}"),
        (Argument::Signed(number), _) => write!(line, "{number}"),
        (Argument::Text(text), _) => line.write_str(text),
        (Argument::Nested(parts), hint) => {
            for (text, arguments) in parts {
                show(text, arguments, hint, line);
            }
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests;
