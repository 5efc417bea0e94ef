//! What a second process does that finds the first one's work: the command, with a compiler that
//! writes down that it was started.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const MANIFEST: &str = "\
name = \"stores\"
[orchestration]
source = \"orchestration.cpp\"
[[kernel]]
func_id = 3
core_type = \"aiv\"
source = \"kernel.cpp\"
name = \"idle\"
[[tensor]]
name = \"out\"
direction = \"out\"
dtype = \"int32\"
shape = [4]
data = { constant = 0 }
expected = { constant = 7 }
";

const ORCHESTRATION: &str = "\
#include \"value.h\"
struct Tensor { unsigned long data; unsigned shapes[5], ndims; unsigned long flags; };
struct Args { Tensor tensors[64]; };
struct Config { int expected; };
extern \"C\" Config aicpu_orchestration_config(const Args &) { return {1}; }
extern \"C\" void aicpu_orchestration_entry(const Args &args) {
    for (int i = 0; i < 4; ++i) reinterpret_cast<int *>(args.tensors[0].data)[i] = VALUE;
}
";

/// Notes each start in a file beside it, fails if it is told to, else passes the work on.
const COMPILER: &str = "\
#include <fcntl.h>
#include <string>
#include <unistd.h>
int main(int, char **words) {
    std::string place = words[0];
    int starts = open((place + \".starts\").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(starts, \"x\", 1) != 1 || access((place + \".fails\").c_str(), F_OK) == 0) return 1;
    char name[] = \"g++\";
    words[0] = name;
    execvp(name, words);
    return 1;
}
";

/// A callable, a compiler and a cache in one folder.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("callable.toml", MANIFEST);
        bench.write("orchestration.cpp", ORCHESTRATION);
        bench.write("value.h", "#define VALUE 7\n");
        bench.write("kernel.cpp", "extern \"C\" void kernel_entry(long *) {}\n");
        bench.write("compiler.cpp", COMPILER);
        let [source, program] = [bench.path("compiler.cpp"), bench.compiler()];
        let built = Command::new("g++").arg(source).arg("-o").arg(program).status().unwrap();
        assert!(built.success());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn compiler(&self) -> PathBuf {
        self.path("counting-g++")
    }

    /// How often the compiler was started so far.
    fn starts(&self) -> usize {
        fs::read(self.path("counting-g++.starts")).map_or(0, |starts| starts.len())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-runner"));
        command.env_remove("PTO_ISA_ROOT").env("CXX", self.compiler());
        command.arg("run").arg(self.0.path()).arg("--json").args(arguments);
        command.arg("--cache-dir").arg(self.path("cache"));
        command
    }

    /// Runs the command; returns what it printed, and the counters of its cache.
    #[track_caller]
    fn run(&self, code: i32) -> (String, Value) {
        judge(&self.command(&[]).output().unwrap(), code)
    }

    /// The only built callable in the cache.
    fn entry(&self) -> PathBuf {
        let entries = fs::read_dir(self.path("cache/images")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension().is_some_and(|kind| kind == "build"));
        path.unwrap()
    }
}

/// Checks the exit code; returns the messages and the counters.
#[track_caller]
fn judge(output: &Output, code: i32) -> (String, Value) {
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{printed}{messages}");
    let mut object: Value = serde_json::from_str(&printed).unwrap();
    (messages, object["cache"].take())
}

fn counted(hits: u64, misses: u64, corrupt: u64, written: u64, plans: u64) -> Value {
    json!({ "hits": hits, "misses": misses, "corrupt": corrupt, "written": written,
            "evicted": 0, "plans": plans })
}

/// As the first process: nothing found, all of it kept, and at hand when it is registered.
fn first() -> Value {
    counted(1, 1, 0, 1, 1)
}

/// As the second process: built and planned by the first. Whether the entry was written again,
/// with files that had been too new to be told by their times, depends on the clock.
#[track_caller]
fn assert_second((messages, mut counters): (String, Value)) {
    assert!(
        matches!(counters["written"].take(), Value::Number(count) if count.as_u64() <= Some(1))
    );
    let mut expected = counted(2, 0, 0, 0, 0);
    expected["written"].take();
    assert_eq!((messages.as_str(), counters), ("", expected));
}

#[test]
fn a_second_process_starts_no_compiler_and_plans_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.run(0), (String::new(), first()));
    let starts = bench.starts();
    // `--version`, the support source, the orchestration, the kernel.
    assert_eq!(starts, 4);
    bench.write("counting-g++.fails", "");
    for _ in 0..2 {
        assert_second(bench.run(0));
    }
    assert_eq!(bench.starts(), starts);
    // It would have been noticed.
    judge_failure(&bench.command(&["--no-cache"]).output().unwrap());
    assert_eq!(bench.starts(), starts + 1);
}

#[track_caller]
fn judge_failure(output: &Output) {
    let (messages, counters) = judge(output, 3);
    assert!(messages.contains("--version` failed"), "{messages}");
    assert_eq!(counters, Value::Null);
}

#[test]
fn whatever_a_callable_is_made_of_is_noticed_when_it_changes() {
    let bench = Bench::new();
    bench.run(0);
    bench.write("value.h", "#define VALUE 8\n");
    let (_, counters) = bench.run(1);
    assert_eq!(counters, first(), "a header; the new code ran");
    bench.write("value.h", "#define VALUE 7\n");
    // Compiled code of the same bytes was kept; the callable of the other bytes took its place.
    let starts = bench.starts();
    assert_eq!(bench.run(0).1, first());
    assert_eq!(bench.starts(), starts + 1, "only asked for its version");
    assert_second(bench.run(0));

    bench.write("kernel.cpp", "extern \"C\" void kernel_entry(long *) { asm(\"nop\"); }\n");
    assert_eq!(bench.run(0).1, first(), "a kernel");
    assert_second(bench.run(0));
    // What messages and runs need, and the blob does not.
    bench.write("callable.toml", &MANIFEST.replace("stores", "renamed").replace("[4]", "[2, 2]"));
    assert_second(bench.run(0));
    for (from, to) in [
        ("func_id = 3", "func_id = 4"),
        ("\"aiv\"", "\"aic\""),
        ("\"out\"\ndtype", "\"inout\"\ndtype"),
    ] {
        assert!(MANIFEST.contains(from));
        bench.write("callable.toml", &MANIFEST.replace(from, to));
        assert_eq!(bench.run(0).1, first(), "{to}");
    }
    bench.write("callable.toml", MANIFEST);
    // Each is kept.
    assert_second(bench.run(0));

    let other = judge(&bench.command(&["--platform", "a5sim"]).output().unwrap(), 0);
    assert_eq!(other.1, first(), "another chip");
    // The same program at another time might be another one.
    let program = fs::read(bench.compiler()).unwrap();
    fs::remove_file(bench.compiler()).unwrap();
    fs::write(bench.compiler(), program).unwrap();
    fs::set_permissions(bench.compiler(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(bench.run(0).1, first(), "another compiler");
}

#[test]
fn a_shared_object_among_sources_is_noticed_when_it_changes_and_alone_is_read_each_time() {
    let bench = Bench::new();
    let link = |code: &str| {
        bench.write("kernel.cpp", &format!("extern \"C\" void kernel_entry(long *) {{ {code} }}"));
        let mut compiler = Command::new("g++");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(bench.path("kernel.so"));
        assert!(compiler.arg(bench.path("kernel.cpp")).status().unwrap().success());
    };
    link("");
    let mixed = MANIFEST.replace("source = \"kernel.cpp\"", "so = \"kernel.so\"");
    bench.write("callable.toml", &mixed);
    assert_eq!(bench.run(0).1, first());
    assert_second(bench.run(0));
    link("asm(\"nop\");");
    assert_eq!(bench.run(0).1, first());
    assert_second(bench.run(0));

    let source = bench.path("orchestration.cpp");
    let mut compiler = Command::new("g++");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(bench.path("orchestration.so")).arg(source);
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
    compiler
        .arg("-I")
        .arg(support.join("include"))
        .arg(support.join("src/orchestration_support.cpp"));
    assert!(compiler.status().unwrap().success());
    let images = mixed.replace("source = \"orchestration.cpp\"", "so = \"orchestration.so\"");
    bench.write("callable.toml", &images);
    let starts = bench.starts();
    // Only the verdict is looked for.
    assert_eq!(bench.run(0).1, counted(0, 1, 0, 1, 1));
    assert_eq!(bench.run(0).1, counted(1, 0, 0, 0, 0));
    assert_eq!(bench.starts(), starts);
}

#[test]
fn damage_is_told_with_the_path_passed_by_and_put_right() {
    let bench = Bench::new();
    bench.run(0);
    let path = bench.entry();
    let good = fs::read(&path).unwrap();
    let elsewhere = bench.path("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    let damage: [(&str, &str, &dyn Fn()); 6] = [
        ("cut off", "it ends within its payload", &|| {
            fs::write(&path, &good[..good.len() - 9]).unwrap();
        }),
        ("empty", "it ends within its header", &|| fs::write(&path, "").unwrap()),
        ("a bit of the code", "its payload does not have the digest", &|| {
            let mut changed = good.clone();
            changed[good.len() - 1000] ^= 1;
            fs::write(&path, changed).unwrap();
        }),
        ("another format", "it has format 9, this program writes", &|| {
            let mut changed = good.clone();
            changed[8] = 9;
            fs::write(&path, changed).unwrap();
        }),
        ("a link", "not an ordinary file", &|| {
            fs::remove_file(&path).unwrap();
            symlink(&elsewhere, &path).unwrap();
        }),
        ("open to others", "with mode 622", &|| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        }),
    ];
    for (what, message, spoil) in damage {
        spoil();
        let (messages, counters) = bench.run(0);
        assert!(messages.contains(message), "{what}: {messages}");
        assert!(messages.contains(path.to_str().unwrap()), "{what}: {messages}");
        assert_eq!(counters, counted(1, 1, 1, 1, 1), "{what}");
        assert_second(bench.run(0)); // {what}
        assert!(path.symlink_metadata().unwrap().is_file(), "{what}");
    }
}

#[test]
fn a_folder_that_cannot_be_trusted_or_used_is_told_and_done_without() {
    let bench = Bench::new();
    bench.run(0);
    let folder = bench.path("cache/images");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (messages, counters) = bench.run(0);
    assert!(messages.contains("built callables are not kept: others may write"), "{messages}");
    assert_eq!(counters, Value::Null);
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let (messages, counters) = bench.run(0);
    assert!(messages.contains("cannot be used; choose another one"), "{messages}");
    assert_eq!(counters, Value::Null);
    fs::remove_file(&folder).unwrap();
    // The compile cache is still there.
    let starts = bench.starts();
    assert_eq!(bench.run(0), (String::new(), first()));
    assert_eq!(bench.starts(), starts + 1);
}

#[test]
fn two_processes_at_once_agree() {
    let bench = Bench::new();
    let start = || bench.command(&[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    for process in [start(), start()] {
        let (_, counters) = judge(&process.wait_with_output().unwrap(), 0);
        assert_eq!(counters["corrupt"], 0);
    }
    assert_second(bench.run(0));
}

#[test]
fn a_compiler_that_passes_work_on_is_asked_and_its_verdicts_are_kept_all_the_same() {
    let bench = Bench::new();
    fs::remove_file(bench.compiler()).unwrap();
    bench.write("counting-g++", "#!/bin/sh\nprintf x >> \"$0.starts\"\nexec g++ \"$@\"\n");
    fs::set_permissions(bench.compiler(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(bench.run(0).1, counted(0, 1, 0, 1, 1));
    assert_eq!(bench.starts(), 4);
    assert_eq!(bench.run(0).1, counted(1, 0, 0, 0, 0));
    assert_eq!(bench.starts(), 5, "asked for its version, in case it is another one now");
}

/// The path of an entry is of no use to anybody else.
#[test]
fn what_is_kept_is_for_its_owner_alone() {
    let bench = Bench::new();
    bench.run(0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&bench.path("cache/images")), mode(&bench.entry())), (0o700, 0o600));
}
