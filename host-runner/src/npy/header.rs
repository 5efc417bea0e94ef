//! Parses the header of a `.npy` file: a Python dictionary with three known keys.
//!
//! Only the literals that NumPy writes there are read: strings, `True`, `False` and tuples of
//! whole numbers. A list in place of the element type (a record type) is kept as its text, so that
//! the caller can name it.

use super::NpyProblem;

/// What a header says.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// The element type, such as `<f4`.
    pub(super) descr: String,
    /// Whether the first index varies fastest.
    pub(super) fortran_order: bool,
    /// Elements per dimension.
    pub(super) shape: Vec<u64>,
}

/// Reads the text between the header's length and the elements.
pub(super) fn parse_header(text: &[u8]) -> Result<Header, NpyProblem> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect(b'{', "`{`")?;
    while !cursor.take(b'}') {
        let key = cursor.string()?;
        cursor.expect(b':', "`:`")?;
        match key.as_str() {
            "descr" => descr = Some(cursor.descr()?),
            "fortran_order" => fortran_order = Some(cursor.boolean()?),
            "shape" => shape = Some(cursor.tuple()?),
            _ => return Err(cursor.expected("one of 'descr', 'fortran_order' and 'shape'")),
        }
        if !cursor.take(b',') {
            cursor.expect(b'}', "`,` or `}`")?;
            break;
        }
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => {
            Ok(Header { descr, fortran_order, shape })
        }
        _ => Err(cursor.expected("the keys 'descr', 'fortran_order' and 'shape'")),
    }
}

/// A position in the text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The text from here on, with white space passed over.
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += blank;
        &rest[blank..]
    }

    /// Passes over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest().first() == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over `byte` or says that it is missing.
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), NpyProblem> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Makes the error for this position.
    fn expected(&self, expected: &'static str) -> NpyProblem {
        NpyProblem::Header { at: self.at, expected }
    }

    /// Reads a quoted string; NumPy writes no escapes here.
    fn string(&mut self) -> Result<String, NpyProblem> {
        let quote = match self.rest().first() {
            Some(quote @ (b'\'' | b'"')) => *quote,
            _ => return Err(self.expected("a quoted string")),
        };
        let inside = &self.rest()[1..];
        let length = inside.iter().position(|byte| *byte == quote);
        let length = length.ok_or_else(|| self.expected("a closing quote"))?;
        self.at += length + 2;
        Ok(String::from_utf8_lossy(&inside[..length]).into_owned())
    }

    /// Reads the element type: a string, or the text of a list up to its closing bracket.
    fn descr(&mut self) -> Result<String, NpyProblem> {
        if self.rest().first() != Some(&b'[') {
            return self.string();
        }
        let rest = self.rest();
        let mut depth = 0_usize;
        for (index, byte) in rest.iter().enumerate() {
            depth += usize::from(*byte == b'[');
            depth -= usize::from(*byte == b']');
            if depth == 0 {
                self.at += index + 1;
                return Ok(String::from_utf8_lossy(&rest[..=index]).into_owned());
            }
        }
        Err(self.expected("a closing `]`"))
    }

    /// Reads `True` or `False`.
    fn boolean(&mut self) -> Result<bool, NpyProblem> {
        for (word, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("True or False"))
    }

    /// Reads `(3, 4)`, `(3,)` or `()`; a number may end in `L`, as Python 2 wrote it.
    fn tuple(&mut self) -> Result<Vec<u64>, NpyProblem> {
        let mut numbers = Vec::new();
        self.expect(b'(', "`(`")?;
        while !self.take(b')') {
            let digits: Vec<u8> =
                self.rest().iter().copied().take_while(u8::is_ascii_digit).collect();
            let number = String::from_utf8_lossy(&digits).parse();
            numbers.push(number.map_err(|_| self.expected("a whole number"))?);
            self.at += digits.len();
            self.take(b'L');
            if !self.take(b',') {
                self.expect(b')', "`,` or `)`")?;
                break;
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_numpy_writes() {
        let check = |text: &str, descr: &str, fortran_order: bool, shape: &[u64]| {
            let expected = Header { descr: descr.into(), fortran_order, shape: shape.into() };
            assert_eq!(parse_header(text.as_bytes()).unwrap(), expected, "{text}");
        };
        check(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n",
            "<f4",
            false,
            &[3, 4],
        );
        check("{'descr': '|i1', 'fortran_order': True, 'shape': (7,), }\n", "|i1", true, &[7]);
        check("{\"shape\": (), \"descr\": \"<u8\", \"fortran_order\": False}", "<u8", false, &[]);
        check("{'descr': '<i2', 'fortran_order': False, 'shape': (3L, 4L)}", "<i2", false, &[3, 4]);
        let record = "[('x', '<f4', (2,)), ('y', [('z', '<i4')])]";
        let text = format!("{{'descr': {record}, 'fortran_order': False, 'shape': (1,), }}");
        check(&text, record, false, &[1]);
    }

    #[test]
    fn every_cut_header_is_an_error() {
        let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        for end in 0..text.len() {
            assert!(parse_header(&text[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn says_where_and_what_is_missing() {
        let check = |text: &str, position: usize, what: &str| match parse_header(text.as_bytes()) {
            Err(NpyProblem::Header { at, expected }) => {
                assert_eq!((at, expected), (position, what))
            }
            other => panic!("{text}: {other:?}"),
        };
        check("", 0, "`{`");
        check("{descr}", 1, "a quoted string");
        check("{'descr' '<f4'}", 9, "`:`");
        check("{'shape': (3, -4)}", 14, "a whole number");
        check("{'shape': (99999999999999999999,)}", 11, "a whole number");
        check("{'fortran_order': 0}", 18, "True or False");
        check("{'color': 1}", 9, "one of 'descr', 'fortran_order' and 'shape'");
        check("{'descr': '<f4'}", 16, "the keys 'descr', 'fortran_order' and 'shape'");
        check("{'descr': [1", 10, "a closing `]`");
    }
}
