//! Tells code, comments and the insides of strings apart, line by line.
//!
//! Not a parser: just the lexical rules of Rust that decide where a comment or a string ends. Line
//! numbers stay those of the file, which is what a finding needs.

/// A source file, taken apart. Both lists have an entry for each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Code, with every string and character literal emptied and every comment taken out.
    pub(super) code: Vec<String>,
    /// Text of the comments, markers included.
    pub(super) comments: Vec<String>,
}

/// What the next character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    /// With its depth: block comments nest.
    BlockComment(usize),
    /// A string with escapes.
    Text,
    /// A raw string, with the number of its hashes.
    RawText(usize),
}

impl Source {
    /// Takes a text apart.
    pub(super) fn new(text: &str) -> Self {
        let mut source = Self { code: Vec::new(), comments: Vec::new() };
        let mut place = Place::Code;
        for line in text.lines() {
            let characters: Vec<char> = line.chars().collect();
            let (mut code, mut comment) = (String::new(), String::new());
            let mut at = 0;
            while at < characters.len() {
                let rest = &characters[at..];
                let (next, used) = step(place, rest, &mut code, &mut comment);
                place = next;
                at += used;
            }
            if place == Place::LineComment {
                place = Place::Code;
            }
            source.code.push(code);
            source.comments.push(comment);
        }
        source
    }
}

/// Takes what `rest` starts with; returns where that leaves us, and how many characters it was.
fn step(place: Place, rest: &[char], code: &mut String, comment: &mut String) -> (Place, usize) {
    match place {
        Place::Code => step_code(rest, code, comment),
        Place::LineComment => {
            comment.extend(rest);
            (Place::LineComment, rest.len())
        }
        Place::BlockComment(depth) => {
            let (next, used) = match rest {
                ['*', '/', ..] if depth == 1 => (Place::Code, 2),
                ['*', '/', ..] => (Place::BlockComment(depth - 1), 2),
                ['/', '*', ..] => (Place::BlockComment(depth + 1), 2),
                _ => (place, 1),
            };
            comment.extend(&rest[..used]);
            (next, used)
        }
        Place::Text => match rest {
            // An escape at the end of a line has nothing behind it here.
            ['\\', ..] => (place, 2.min(rest.len())),
            ['"', ..] => {
                code.push('"');
                (Place::Code, 1)
            }
            _ => (place, 1),
        },
        Place::RawText(hashes) => {
            if rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes {
                code.push('"');
                return (Place::Code, 1 + hashes);
            }
            (place, 1)
        }
    }
}

/// [`step`] in code.
fn step_code(rest: &[char], code: &mut String, comment: &mut String) -> (Place, usize) {
    match rest {
        ['/', '/', ..] => {
            comment.push_str("//");
            (Place::LineComment, 2)
        }
        ['/', '*', ..] => {
            comment.push_str("/*");
            (Place::BlockComment(1), 2)
        }
        ['"', ..] => {
            code.push('"');
            (Place::Text, 1)
        }
        ['\'', ..] => match character_literal(rest) {
            Some(used) => {
                code.push_str("''");
                (Place::Code, used)
            }
            // A lifetime or a label.
            None => {
                code.push('\'');
                (Place::Code, 1)
            }
        },
        ['r', ..] | ['b' | 'c', 'r', ..] if !ends_with_identifier(code) => {
            let prefix = if rest[0] == 'r' { 1 } else { 2 };
            let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
            if rest.get(prefix + hashes) == Some(&'"') {
                code.push('"');
                return (Place::RawText(hashes), prefix + hashes + 1);
            }
            code.extend(&rest[..prefix]);
            (Place::Code, prefix)
        }
        [first, ..] => {
            code.push(*first);
            (Place::Code, 1)
        }
        [] => (Place::Code, 0),
    }
}

/// Characters of the character literal that `rest` starts with, if it does.
fn character_literal(rest: &[char]) -> Option<usize> {
    match rest {
        // The character behind the backslash may be a quote; `\u{…}` is longer.
        ['\'', '\\', _, tail @ ..] => {
            let end = tail.iter().position(|&character| character == '\'')?;
            Some(3 + end + 1)
        }
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

/// Whether the code so far ends within an identifier, so that an `r` here starts no raw string.
fn ends_with_identifier(code: &str) -> bool {
    code.chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &[&str], comments: &[&str]) {
        let source = Source::new(text);
        assert_eq!(source.code, code, "code of {text:?}");
        assert_eq!(source.comments, comments, "comments of {text:?}");
    }

    #[test]
    fn comments_are_taken_out_of_code() {
        check("a // b", &["a "], &["// b"]);
        check("a /* b /* c */ d */ e", &["a  e"], &["/* b /* c */ d */"]);
        check("a /* b\nc */ d", &["a ", " d"], &["/* b", "c */"]);
        check("//! x\na", &["", "a"], &["//! x", ""]);
    }

    #[test]
    fn strings_are_emptied_and_their_slashes_are_no_comments() {
        check(r#"a("// no", b"\"{", 1)"#, &[r#"a("", b"", 1)"#], &[""]);
        check("r\"\\\" + r#\"{\"//\"# + s", &["\"\" + \"\" + s"], &[""]);
        check("\"one {\n two }\" x", &["\"", "\" x"], &["", ""]);
        check("\"one \\\n two\" // x", &["\"", "\" "], &["", "// x"]);
        check("for r in bar\"\"", &["for r in bar\"\""], &[""]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        check("('{', '\\'', '\\u{7d}', '\"')", &["('', '', '', '')"], &[""]);
        check("fn f<'a>(x: &'a str) {", &["fn f<'a>(x: &'a str) {"], &[""]);
    }
}
