//! What real compilers and linkers can produce and the loader refuses, each with its reason.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{Machine, PlanError, PlanLimits, SymbolName, Tag, plan};
use support::compiler::{executable, shared_object, try_shared_object};

/// Plans a program and returns why it was refused.
fn refusal(source: &str, flags: &[&str]) -> PlanError {
    let image = shared_object(source, flags);
    match plan(&image, Machine::native(), &PlanLimits::default()) {
        Ok(_) => panic!("accepted: {flags:?}"),
        Err(error) => error,
    }
}

const PLAIN: &str = "long data = 1; extern \"C\" long *work() { return &data; }";

#[test]
fn names_the_first_exported_thread_local_variable() {
    let source =
        "thread_local long per_thread = 1; extern \"C\" long work() { return per_thread; }";
    let error = refusal(source, &[]);
    assert_eq!(error, PlanError::ThreadLocal { name: SymbolName::new(b"per_thread") });
    assert_eq!(
        error.to_string(),
        "the image has thread-local variables, which are not supported; one is \"per_thread\": make \
         it an ordinary variable"
    );
}

#[test]
fn names_thread_local_variables_that_are_not_exported() {
    let used = "extern \"C\" long *work() { return &hidden; }";
    let rows = [
        ("static thread_local long hidden = 1;", "_ZL6hidden"),
        ("__attribute__((visibility(\"hidden\"))) thread_local long hidden = 1;", "hidden"),
        // Initialised at run time: the compiler adds a guard, which is not the programmer's.
        ("long start(); static thread_local long hidden = start();", "_ZL6hidden"),
    ];
    for (variable, name) in rows {
        let error = refusal(&format!("{variable} {used}"), &[]);
        assert_eq!(error, PlanError::ThreadLocal { name: SymbolName::new(name.as_bytes()) });
    }
}

#[test]
fn says_that_the_names_of_thread_local_variables_were_stripped() {
    let source =
        "static thread_local long hidden = 1; extern \"C\" long *work() { return &hidden; }";
    let error = refusal(source, &["-s"]);
    assert_eq!(error, PlanError::ThreadLocal { name: SymbolName::EMPTY });
    let text = error.to_string();
    assert!(text.contains("stripped of their names: link it without -s"), "{text}");
}

#[test]
fn refuses_imported_thread_local_variables() {
    let source = "extern thread_local long outside; extern \"C\" long *work() { return &outside; }";
    // GCC adds a weak call of the variable's initialiser, so the name is the mangled one.
    match refusal(source, &[]) {
        PlanError::ThreadLocal { name } => assert_eq!(name.as_bytes(), b"outside"),
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_indirect_functions() {
    let source = r#"
        extern "C" {
        static long one() { return 1; }
        typedef long function();
        function *choose() { return one; }
        long chosen() __attribute__((ifunc("choose")));
        long work() { return chosen(); }
        }"#;
    match refusal(source, &[]) {
        PlanError::IndirectFunction { name, .. } => assert_eq!(name.as_bytes(), b"chosen"),
        other => panic!("{other}"),
    }
    // Hidden, nothing but its relocation is left.
    let hidden =
        source.replace("long chosen()", "__attribute__((visibility(\"hidden\"))) long chosen()");
    match refusal(&hidden, &[]) {
        PlanError::IndirectRelocation { .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_an_executable_stack() {
    match refusal(PLAIN, &["-Wl,-z,execstack"]) {
        PlanError::ExecutableStack { .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_one_segment_for_everything() {
    match refusal(PLAIN, &["-Wl,-N", "-nostdlib"]) {
        PlanError::WritableExecutable { .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_relocations_in_the_text() {
    let source =
        "const long value = 1; extern const long *const here; const long *const here = &value;";
    let flags = ["-Wl,-z,notext", "-fno-pic", "-mcmodel=large"];
    let code = "extern long outside; extern \"C\" long work() { return outside; }";
    match refusal(&format!("{source}{code}"), &flags) {
        PlanError::TextRelocations { tag: Tag(22 | 30), .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_executables_of_both_kinds() {
    let source = "int main() { return 0; }";
    let limits = PlanLimits::default();
    for (flags, kind, is_pie) in [(["-no-pie", "-fno-pie"], 2, false), (["-pie", "-fpie"], 3, true)]
    {
        let image = executable(source, &flags);
        match plan(&image, Machine::native(), &limits).map(|_| ()) {
            Err(PlanError::NotSharedObject { kind: found, flags_1 }) => {
                assert_eq!((found, flags_1 & 0x0800_0000 != 0), (kind, is_pie));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn refuses_libraries_the_executor_does_not_stand_for() {
    let library =
        shared_object("extern \"C\" long other() { return 1; }", &["-Wl,-soname,libother.so"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libother.so");
    std::fs::write(&path, library).unwrap();
    let source = "extern \"C\" long other(); extern \"C\" long work() { return other(); }";
    let text = path.to_str().unwrap();
    let flags = ["-Wl,--no-as-needed", "-Wl,--push-state", text];
    let image = try_shared_object(source, &flags).unwrap();
    let error = plan(&image, Machine::native(), &PlanLimits::default()).unwrap_err();
    assert_eq!(error, PlanError::NeededNotAllowed { name: SymbolName::new(b"libother.so") });
}
