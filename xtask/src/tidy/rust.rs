//! Rules for Rust files.

use super::Finding;
use super::source::Source;

/// Most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Words that may stand as a tag at the start of a comment; `TODO` needs a name in brackets.
const TAGS: [&str; 5] = ["SAFETY", "ORDERING", "CAST", "PANIC", "TIMEOUT"];

/// Checks one Rust file.
pub(super) fn check(text: &str) -> Vec<Finding> {
    let source = Source::new(text);
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(Finding::new(1, "the file does not open with `//! ` and what it is for"));
    }
    for (index, comment) in source.comments.iter().enumerate() {
        findings.extend(check_tag(index + 1, comment));
    }
    for (index, code) in source.code.iter().enumerate() {
        for word in ["#[ignore", "#[should_panic]"] {
            if code.contains(word) {
                findings.push(Finding::new(index + 1, format!("`{word}`: say what is expected")));
            }
        }
    }
    for function in functions(&source) {
        if function.name.starts_with("test_") {
            findings.push(Finding::new(
                function.line,
                format!("`{}`: a test's name is a sentence about behaviour", function.name),
            ));
        }
        if function.lines > FUNCTION_LINES {
            findings.push(Finding::new(
                function.line,
                format!(
                    "`{}` has {} lines; {FUNCTION_LINES} are allowed: split it",
                    function.name, function.lines
                ),
            ));
        }
    }
    findings
}

/// Checks that a comment which starts with a tag starts with a known one.
///
/// Documentation may start with any abbreviation, but not with a word for unfinished work.
fn check_tag(line: usize, comment: &str) -> Option<Finding> {
    let is_documentation = ["///", "//!", "/**", "/*!"].iter().any(|m| comment.starts_with(m));
    let text = comment.trim_start_matches(['/', '!', '*']).trim_start();
    let length = text.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let is_left_over = matches!(word, "FIXME" | "XXX" | "HACK" | "TODO" | "TBD");
    // Two letters are an abbreviation at the start of a sentence.
    if !is_left_over && (is_documentation || word.len() < 3 || !rest.starts_with(':')) {
        return None;
    }
    let is_named_todo = word == "TODO"
        && rest
            .strip_prefix('(')
            .and_then(|rest| rest.split_once("):"))
            .is_some_and(|(name, _)| !name.is_empty());
    if TAGS.contains(&word) || is_named_todo {
        return None;
    }
    let known = TAGS.join(", ");
    Some(Finding::new(line, format!("`{word}` is no comment tag; there are {known}, TODO(…)")))
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Function {
    name: String,
    /// Line of the `fn`, counted from 1.
    line: usize,
    /// From there to the line of the closing brace.
    lines: usize,
}

/// Finds all functions with a body, those inside other functions and macros included.
fn functions(source: &Source) -> Vec<Function> {
    let characters: Vec<(usize, char)> = source
        .code
        .iter()
        .enumerate()
        .flat_map(|(index, code)| code.chars().chain(['\n']).map(move |c| (index + 1, c)))
        .collect();
    let is_word =
        |at: usize| characters.get(at).is_some_and(|&(_, c)| c.is_alphanumeric() || c == '_');
    let mut functions = Vec::new();
    for at in 0..characters.len() {
        let is_fn = characters[at..].starts_with_word("fn");
        if !is_fn || is_word(at + 2) || at.checked_sub(1).is_some_and(is_word) {
            continue;
        }
        let name: String = characters[at + 2..]
            .iter()
            .map(|&(_, c)| c)
            .skip_while(|c| c.is_whitespace())
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        // `fn(…)` is a type.
        if name.is_empty() {
            continue;
        }
        let line = characters[at].0;
        if let Some(open) = body(&characters, at)
            && let Some(close) = closing(&characters, open)
        {
            functions.push(Function { name, line, lines: characters[close].0 - line + 1 });
        }
    }
    functions
}

/// Whether a list of characters with their lines starts with a text.
trait StartsWithWord {
    fn starts_with_word(&self, word: &str) -> bool;
}

impl StartsWithWord for [(usize, char)] {
    fn starts_with_word(&self, word: &str) -> bool {
        self.len() >= word.len() && self.iter().zip(word.chars()).all(|(&(_, c), w)| c == w)
    }
}

/// Position of the brace that opens the body of the function whose `fn` is at `from`; `None` if it
/// has no body.
fn body(characters: &[(usize, char)], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    let mut at = from;
    while let Some(&(_, c)) = characters.get(at) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return None,
            // A constant as a generic argument: `Vec<u8, { 2 * N }>`.
            '{' if depth == 0 && matches!(before, '<' | ',' | '=') => at = closing(characters, at)?,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
        at += 1;
    }
    None
}

/// Position of the brace that closes the one at `open`.
fn closing(characters: &[(usize, char)], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, &(_, c)) in characters.iter().enumerate().skip(open) {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings in a body below a good header, as (line, part of the text).
    fn expect(body: &str, expected: &[(usize, &str)]) {
        let findings = check(&format!("//! Header.\n{body}"));
        assert_eq!(findings.len(), expected.len(), "{body}: {findings:?}");
        for (finding, (line, part)) in findings.iter().zip(expected) {
            assert_eq!(finding.line, *line, "{body}: {findings:?}");
            assert!(finding.text.contains(part), "{body}: {findings:?}");
        }
    }

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        assert_eq!(check("//! Header.\n"), []);
        for text in ["", "// Header.\n", "use a;\n//! Header.\n", "//!\n"] {
            assert_eq!(check(text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_function_may_have_70_lines_and_no_more() {
        for (inner, expected) in [(68, false), (69, true)] {
            let lines = "    x();\n".repeat(inner);
            for head in ["fn f() {", "pub const fn f<const N: usize>(a: [u8; 2]) -> V<u8, { 2 }> {"]
            {
                let found = check(&format!("//! Header.\n{head}\n{lines}}}\n"));
                assert_eq!(!found.is_empty(), expected, "{inner} lines: {found:?}");
            }
        }
    }

    #[test]
    fn braces_in_strings_and_declarations_without_a_body_do_not_confuse_the_count() {
        let lines = "\n".repeat(80);
        expect(&format!("trait T {{\nfn f(&self);\nfn g(&self) {{ x(\"{{\") }}\n}}{lines}"), &[]);
        expect(&format!("type F = fn(u8) -> u8;{lines}const X: u8 = {{ 1 }};"), &[]);
    }

    #[test]
    fn names_of_tests_are_sentences_and_all_tests_run() {
        expect("fn test_it() {}", &[(2, "test_it")]);
        expect("\n#[ignore = \"slow\"]\nfn it_works() {}", &[(3, "ignore")]);
        expect("#[should_panic]\nfn it_works() {}", &[(2, "should_panic")]);
        expect("#[should_panic(expected = \"lost\")]\nfn it_works() {}", &[]);
        expect("let a = \"#[ignore]\"; // fn test_it() {}", &[]);
    }

    #[test]
    fn comment_tags_are_those_of_the_set() {
        for good in [
            "// SAFETY: x",
            "/// # Safety",
            "/// AICPU: x",
            "// TODO(FIRST): x",
            "// ORDERING: x",
            "// ELF files: x",
            "// A: b",
        ] {
            expect(good, &[]);
        }
        for (bad, word) in [
            ("// FIXME later", "FIXME"),
            ("// TODO: x", "TODO"),
            ("// TODO(): x", "TODO"),
            ("x(); // NOTE: y", "NOTE"),
            ("/* HACK */", "HACK"),
            ("/// XXX x", "XXX"),
        ] {
            expect(bad, &[(2, word)]);
        }
    }
}
