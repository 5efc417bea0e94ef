//! Reads the dependency file that a compiler writes with `-MD -MF`.
//!
//! It is a make rule, `target: file file \⏎ file`, with spaces, `#` and `$` in names escaped. The
//! compiler is the only one that knows which headers a source really includes, so the cache takes
//! the set from here.

use std::path::PathBuf;

/// Returns the files named after the first `target:`, in order.
///
/// Phony rules that follow (`-MP`) are not read. A text without a rule gives no files.
pub(crate) fn parse_dependencies(text: &str) -> Vec<PathBuf> {
    let Some((_, rule)) = text.split_once(": ") else { return Vec::new() };
    let mut files = Vec::new();
    let mut name = String::new();
    let mut characters = rule.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek().copied()) {
            ('\\', Some('\n')) => {
                characters.next();
                end_name(&mut name, &mut files);
            }
            ('\\', Some(escaped @ (' ' | '#' | '\\'))) => {
                // Two backslashes are one only before a space; elsewhere both stand.
                if escaped == '\\' {
                    name.push('\\');
                } else {
                    characters.next();
                    name.push(escaped);
                }
            }
            ('$', Some('$')) => {
                characters.next();
                name.push('$');
            }
            ('\n', _) => break,
            (' ' | '\t' | '\r', _) => end_name(&mut name, &mut files),
            _ => name.push(character),
        }
    }
    end_name(&mut name, &mut files);
    files
}

/// Moves a finished name to the list.
fn end_name(name: &mut String, files: &mut Vec<PathBuf>) {
    if !name.is_empty() {
        files.push(PathBuf::from(std::mem::take(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(parse_dependencies(text), expected, "{text:?}");
    }

    #[test]
    fn reads_names_over_continued_lines() {
        check(
            "out: a.cpp \\\n include/b.h \\\n  /usr/c.h\n",
            &["a.cpp", "include/b.h", "/usr/c.h"],
        );
    }

    #[test]
    fn undoes_the_escapes_of_make() {
        check(r"out: my\ file.h cost$$.h no\#1.h", &["my file.h", "cost$.h", "no#1.h"]);
    }

    #[test]
    fn stops_at_the_second_rule() {
        check("out: a.cpp b.h\nb.h:\n", &["a.cpp", "b.h"]);
    }

    #[test]
    fn gives_nothing_for_text_without_a_rule() {
        check("", &[]);
        check("no rule here", &[]);
    }
}
