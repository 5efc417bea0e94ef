//! Rules about what a text may point at: no folder of one machine, no link but to documentation.

use std::path::Path;

use super::Finding;

/// Top folders that exist on the machine of whoever wrote the line, if at all.
const MACHINE_FOLDERS: [&str; 4] = ["home", "root", "tmp", "work"];

/// Hosts that a text may link to.
const KNOWN_HOSTS: [&str; 7] = [
    "doc.rust-lang.org",
    "docs.rs",
    "keepachangelog.com",
    "semver.org",
    "www.apache.org",
    "opensource.org",
    // The name space of SVG.
    "www.w3.org",
];

/// A place that may name a folder of a machine, and why.
struct Allowed {
    file: &'static str,
    text: &'static str,
    _why: &'static str,
}

const ALLOWED: &[Allowed] = &[];

/// Checks one file of any kind.
pub(super) fn check(name: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            let is_allowed = ALLOWED
                .iter()
                .any(|allowed| name == Path::new(allowed.file) && line.contains(allowed.text));
            if !is_allowed {
                findings
                    .push(Finding::new(index + 1, format!("`{path}` is a place on one machine")));
            }
        }
        if let Some(host) = unknown_host(line) {
            findings
                .push(Finding::new(index + 1, format!("a link to `{host}`, which is not known")));
        }
    }
    findings
}

/// The first absolute path of a machine in a line, up to its first folder.
fn machine_path(line: &str) -> Option<String> {
    MACHINE_FOLDERS.iter().map(|folder| format!("/{folder}/")).find(|path| {
        line.match_indices(path.as_str()).any(|(at, _)| {
            // Behind a name, a dot or a bracket it is the rest of a longer or relative path.
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-})>/~".contains(c))
        })
    })
}

/// The first host that a line links to and that is not known.
fn unknown_host(line: &str) -> Option<&str> {
    line.split("://").zip(line.split("://").skip(1)).find_map(|(before, after)| {
        if !before.ends_with("http") && !before.ends_with("https") {
            return None;
        }
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
        let host = &after[..end.unwrap_or(after.len())];
        (!host.is_empty() && !KNOWN_HOSTS.contains(&host)).then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many findings a line of a text file has.
    fn count(line: &str) -> usize {
        check(Path::new("a.md"), line).len()
    }

    #[test]
    fn a_folder_of_one_machine_is_found_and_a_relative_one_is_not() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(count(&format!("see /{folder}/a")), 1, "{folder}");
            assert_eq!(count(&format!("\"/{folder}/a\"")), 1, "{folder}");
            assert_eq!(count(&format!("target/{folder}/a, ../{folder}/a, $X/{folder}/a")), 0);
            assert_eq!(count(&format!("a/{folder}space, /{folder}s")), 0, "{folder}");
        }
    }

    #[test]
    fn a_link_leads_to_documentation_that_is_known() {
        assert_eq!(count("see <https://doc.rust-lang.org/core/>"), 0);
        let (scheme, host) = ("https", "example.invalid");
        assert_eq!(count(&format!("see {scheme}://{host}/x")), 1);
        assert_eq!(count("format!(\"https://{host}\")"), 0);
        assert_eq!(count("file://x"), 0);
    }
}
