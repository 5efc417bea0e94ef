//! `host-runner inspect` as a user meets it: images that load, images that do not, other files, and
//! what is printed for people and programs.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use program::{check, program};
use serde_json::Value;

mod program;

/// An orchestration that is complete, and one more function.
const GOOD: &str = "#include <cstring>\n\
    static const char *const names[] = {\"one\", \"two\"};\n\
    extern \"C\" { void framework_bind_runtime(void *) {}\n\
    int aicpu_orchestration_config() { return 0; }\n\
    unsigned long aicpu_orchestration_entry(long which) { return strlen(names[which]); } }";

/// Compiles a source to `name` in `folder`.
fn compile(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (input, output) = (folder.join("source.cpp"), folder.join(name));
    fs::write(&input, source).unwrap();
    let mut command = Command::new("g++");
    command.args(["-O1", "-fPIC", "-o"]).arg(&output).arg(&input).args(flags);
    let result = command.output().unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output
}

fn inspect(folder: &Path, arguments: &[&str]) -> Output {
    program().current_dir(folder).arg("inspect").args(arguments).output().unwrap()
}

/// The words of the line that starts with `word`.
#[track_caller]
fn line<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    let found = text.lines().map(words).find(|words| words.first() == Some(&word));
    found.unwrap_or_else(|| panic!("no line starts with {word:?}:\n{text}"))
}

#[test]
fn a_good_orchestration_is_described_and_exit_code_0() {
    let folder = tempfile::tempdir().unwrap();
    let digits = "0123456789abcdef0123456789abcdef01234567";
    let id = format!("-Wl,--build-id=0x{digits}");
    let path = compile(folder.path(), "good.so", GOOD, &["-shared", &id, "-Wl,-soname,lib.so.1"]);
    let (text, message) = check(&inspect(folder.path(), &["good.so"]), 0);
    assert_eq!(message, "");
    assert_eq!(
        text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["good.so", "would", "load"]
    );
    assert_eq!(line(&text, "build-id"), ["build-id", digits]);
    assert_eq!(line(&text, "soname"), ["soname", "lib.so.1"]);
    let bytes = fs::metadata(path).unwrap().len().to_string();
    assert_eq!(line(&text, "file"), ["file", &bytes, "bytes"]);
    for (role, name) in [
        ("entry", "aicpu_orchestration_entry:"),
        ("config", "aicpu_orchestration_config:"),
        ("bind", "framework_bind_runtime:"),
    ] {
        assert_eq!(line(&text, role), [role, name, "present"]);
    }
    assert_eq!(line(&text, "r-x").len(), 6, "{text}");
    assert_eq!(line(&text, "strlen")[2], "offered");
    assert!(line(&text, "strlen")[1].starts_with("GLIBC_2."));
    assert_eq!(
        line(&text, "__gmon_start__")[1..],
        ["-", "not", "offered,", "but", "weak:", "it", "sees", "0"]
    );
    assert_eq!(line(&text, "framework_bind_runtime")[1], "function");
}

#[test]
fn json_says_the_same_and_has_these_fields() {
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "good.so", GOOD, &["-shared"]);
    let (printed, _) = check(&inspect(folder.path(), &["good.so", "--json"]), 0);
    assert_eq!(printed.lines().count(), 1);
    let object: Value = serde_json::from_str(&printed).unwrap();
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let expected = [
        "build_id",
        "file",
        "file_bytes",
        "image",
        "is_native",
        "loads",
        "machine",
        "refusal",
        "runtime",
        "slot_bytes",
    ];
    assert_eq!(keys(&object), expected);
    assert_eq!((&object["file"], &object["loads"]), (&"good.so".into(), &true.into()));
    let image = &object["image"];
    let expected = [
        "align_bytes",
        "branch_targets",
        "exports",
        "finalisers",
        "imports",
        "initialisers",
        "missing",
        "needed",
        "page_bytes",
        "relocations",
        "relro",
        "roles",
        "segments",
        "soname",
        "span_bytes",
        "unwind",
    ];
    assert_eq!(keys(image), expected);
    let rows = [
        (
            &image["segments"][0],
            &["file_bytes", "memory_bytes", "offset", "pages", "rights", "vaddr"][..],
        ),
        (&image["relocations"], &["packed", "plt", "relative", "symbolic"]),
        (&image["relro"], &["bytes", "vaddr"]),
        (&image["imports"][0], &["name", "offered", "version", "weak"]),
        (&image["exports"][0], &["bytes", "kind", "name", "vaddr", "weak"]),
        (&image["roles"][0], &["name", "present", "problem", "role"]),
        (&image["needed"][0], &["allowed", "name"]),
        (&image["unwind"], &["bytes", "vaddr"]),
    ];
    for (value, expected) in rows {
        assert_eq!(keys(value), expected);
    }
    let roles = image["roles"].as_array().unwrap().iter().map(|each| each["role"].clone());
    assert_eq!(roles.collect::<Vec<_>>(), ["entry", "config", "bind"]);
}

#[test]
fn a_graph_of_hbg_is_looked_at_for_the_systems_loader() {
    let folder = tempfile::tempdir().unwrap();
    let source = "extern \"C\" int nobody();\nextern \"C\" int build(void *) { return nobody(); }";
    compile(folder.path(), "graph.so", source, &["-shared"]);
    let with = |words: &[&str]| inspect(folder.path(), &[&["graph.so"], words].concat());
    let (text, message) = check(&with(&["--runtime", "hbg", "--entry", "build"]), 0);
    assert_eq!(message, "");
    assert!(text.contains("by the system's loader"), "{text}");
    assert_eq!(line(&text, "entry"), ["entry", "build:", "present"]);
    assert_eq!(line(&text, "nobody")[1..], ["-", "not", "looked", "up"]);
    assert!(!text.contains("config") && !text.contains("slot"), "{text}");

    let (text, _) = check(&with(&["--runtime", "host_build_graph", "--entry", "buid"]), 4);
    assert!(text.contains("REFUSED") && text.contains("does not export `buid`"), "{text}");
    let (text, _) = check(&with(&["--runtime", "hbg", "--entry", "build", "--json"]), 0);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["runtime"], &object["slot_bytes"]), (&"hbg".into(), &().into()));

    // Without the option it is taken for one of trb.
    check(&with(&["--entry", "build"]), 4);
    for (words, part) in [
        (&["--runtime", "hbg"][..], "name the function with --entry"),
        (&["--runtime", "hbg", "--entry", "build", "--config", "c"], "leave --config out"),
        (&["--runtime", "gpu"], "there is no runtime `gpu`"),
    ] {
        let (_, message) = check(&with(words), 2);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_refused_image_says_why_and_what_to_do_and_is_exit_code_4() {
    let folder = tempfile::tempdir().unwrap();
    let entry = "extern \"C\" long aicpu_orchestration_entry() { return used(); }";
    let rows: [(&str, &[&str], &str, &str, &str); 6] = [
        (
            "static thread_local long hidden = 1; long used() { return ++hidden; }",
            &["-shared"],
            "ThreadLocal",
            "one is \"_ZL6hidden\"",
            "ordinary variable",
        ),
        (
            "extern \"C\" long first(); extern \"C\" long second(); \
             long used() { return first() + second(); }",
            &["-shared"],
            "Unresolved",
            "2 names are not offered: ",
            "define them",
        ),
        (
            "long used() { return 1; } int main() {}",
            &["-pie"],
            "NotSharedObject",
            "e_type is 3",
            "-shared",
        ),
        (
            "long used() { return 1; }",
            &["-shared", "-Wl,-z,execstack"],
            "ExecutableStack",
            "executable stack",
            "-z noexecstack",
        ),
        (
            "long used() { return 1; }",
            &["-shared", "-Wl,-z,max-page-size=131072"],
            "SegmentAlignment",
            "p_align 0x20000 is not a power of two up to 0x10000",
            "-z max-page-size=4096",
        ),
        (
            "char room[20 << 20]; long used() { return room[5]; }",
            &["-shared"],
            "SpanTooLarge",
            "bytes of memory, more than the limit of 0x1000000",
            "static arrays smaller",
        ),
    ];
    for (source, flags, kind, message, advice) in rows {
        compile(folder.path(), "bad.so", &format!("{source}\n{entry}"), flags);
        let (text, _) = check(&inspect(folder.path(), &["bad.so"]), 4);
        assert!(text.starts_with("bad.so  REFUSED\n"), "{text}");
        assert!(text.contains(message) && text.contains(advice), "{message} {advice}\n{text}");
        let (printed, _) = check(&inspect(folder.path(), &["bad.so", "--json"]), 4);
        let object: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(object["loads"], false);
        assert_eq!(object["refusal"]["kind"], kind, "{printed}");
        assert!(object["refusal"]["message"].as_str().unwrap().contains(message), "{printed}");
        assert!(object["build_id"].is_string(), "{printed}");
    }
}

#[test]
fn a_library_that_is_not_offered_is_refused_and_shown_among_those_needed() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), "libother.so", "long other() { return 1; }", &["-shared"]);
    let source = "long other(); extern \"C\" long aicpu_orchestration_entry() { return other(); }";
    compile(folder.path(), "bad.so", source, &["-shared", "-L.", library.to_str().unwrap()]);
    // Linked by its path, which is what the image then needs.
    let (text, _) = check(&inspect(folder.path(), &["bad.so"]), 4);
    assert!(text.contains("is a path, must be a bare name") && text.contains("-l"), "{text}");
    let flags = ["-shared", "-Wl,-soname,libother.so"];
    compile(folder.path(), "libother.so", "long other() { return 1; }", &flags);
    compile(folder.path(), "bad.so", source, &["-shared", library.to_str().unwrap()]);
    let (text, _) = check(&inspect(folder.path(), &["bad.so"]), 4);
    assert!(
        text.contains("DT_NEEDED \"libother.so\" is not among the libraries offered"),
        "{text}"
    );
    assert!(text.contains("libother.so (NOT OFFERED)"), "{text}");
    assert_eq!(line(&text, "_Z5otherv"), ["_Z5otherv", "-", "MISSING"]);
}

#[test]
fn other_files_are_refused_and_those_that_cannot_be_read_are_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"x\"\n".repeat(20);
    fs::write(folder.path().join("callable.toml"), text).unwrap();
    let (printed, _) = check(&inspect(folder.path(), &["callable.toml"]), 4);
    assert!(printed.contains("not an ELF file: it starts with [6e, 61, 6d, 65]"), "{printed}");
    assert!(printed.contains("give a shared object as g++ -shared -fPIC writes it"), "{printed}");
    compile(folder.path(), "kernel.so", "extern \"C\" void kernel_entry(long *) {}", &["-shared"]);
    let (printed, _) = check(&inspect(folder.path(), &["kernel.so"]), 4);
    assert!(printed.contains("this looks like a kernel"), "{printed}");

    fs::write(folder.path().join("short.txt"), "hello").unwrap();
    let (printed, _) = check(&inspect(folder.path(), &["short.txt"]), 4);
    assert!(printed.contains("not an ELF file: it starts with [68, 65, 6c, 6c]"), "{printed}");
    compile(folder.path(), "part.o", "extern \"C\" void kernel_entry(long *) {}", &["-c"]);
    let (printed, _) = check(&inspect(folder.path(), &["part.o"]), 4);
    assert!(printed.contains("not a shared object: e_type is 1"), "{printed}");

    // Sparse: it takes no room, and reading it would take minutes.
    fs::File::create(folder.path().join("huge.so")).unwrap().set_len(5 << 30).unwrap();
    for (path, reason) in [
        ("nowhere.so", "No such file"),
        (".", "not an ordinary file"),
        ("huge.so", "it has 5368709120 bytes, more than 1073741824"),
    ] {
        let (printed, message) = check(&inspect(folder.path(), &[path]), 2);
        assert_eq!(printed, "");
        assert!(message.contains(&format!("cannot read {path}")), "{message}");
        assert!(message.contains(reason), "{message}");
        let (printed, _) = check(&inspect(folder.path(), &[path, "--json"]), 2);
        let object: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&object["file"], &object["loads"]), (&path.into(), &false.into()));
        assert_eq!(object["error"]["code"], "read");
    }
    check(&inspect(folder.path(), &[]), 2);
}

#[test]
fn help_shows_an_example_and_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = check(&inspect(folder.path(), &["--help"]), 0);
    for part in ["Exit codes:", "  4  ", "host-runner inspect build/orchestration.so", "NO_COLOR"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}
