//! The documents say what there is (spec callable §7.3, R11). That the commands of the README work is
//! the check `readme` of `cargo xtask ci`, and its example is compiled with the documentation's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::sources::repository;

/// All Rust sources below a folder.
fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push(path);
        }
    }
}

/// What a document writes as code in its lines.
fn code_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn r11_names_of_the_api_in_the_documents_are_names_of_the_sources() {
    let mut files = Vec::new();
    rust_files(&repository(), &mut files);
    let this = Path::new(file!()).file_name().unwrap();
    let sources = files.iter().filter(|path| path.file_name() != Some(this));
    let sources: Vec<String> = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<&str> =
        sources.iter().flat_map(|text| text.split(|c| !is_word(c))).collect();

    let mut checked = 0;
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        // Paths of the API, such as `Worker::register`, with or without arguments.
        let paths = code_in(&text).filter(|code| code.contains("::") && !code.contains('/'));
        for path in paths {
            let names = path.split(|c| !is_word(c)).filter(|name| name.len() > 2);
            for name in names {
                assert!(words.contains(name), "{document} has `{path}`, and no source has {name}");
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked} names were found in the documents");
}
