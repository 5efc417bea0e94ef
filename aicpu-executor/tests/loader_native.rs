//! Loads shared objects of the system's C++ compiler and calls them.

#[path = "support/support.rs"]
mod support;

use std::sync::atomic::{AtomicI64, Ordering};

use aicpu_executor::loader::{
    ExportError, LoadError, Machine, PlanError, PlanLimits, commit, plan,
};
use support::compiler::{shared_object, try_shared_object};
use support::maps::rights;
use support::process_symbols::ProcessSymbols;
use support::{Loaded, Names, plan_native, slot};

#[test]
fn calls_functions_with_data_relocations_and_imports() {
    let image = shared_object(
        r#"
        #include <cstring>
        static const char *names[] = {"alpha", "beta", "gamma"};
        static long zeros[5000];
        long counter = 40;
        long *pointer = &counter;
        extern "C" long name_bytes() {
            long sum = zeros[4999];
            for (auto name : names) sum += strlen(name);
            return sum;
        }
        extern "C" long add(long value) { *pointer += value; return counter; }
        "#,
        &[],
    );
    let loaded = Loaded::new(&image);
    assert_eq!(loaded.call("name_bytes"), 14);
    assert_eq!(loaded.call_with("add", 2), 42);
    assert_eq!(loaded.call_with("add", -1), 41);
    // A second load has variables of its own.
    let other = Loaded::new(&image);
    assert_eq!(other.call_with("add", 0), 40);
    assert_eq!(loaded.call_with("add", 0), 41);
}

/// A program with virtual functions, run-time types, templates, exceptions and local statics.
const CXX: &str = r#"
    #include <memory>
    #include <stdexcept>
    #include <string>
    #include <vector>
    struct Shape { virtual ~Shape() = default; virtual long area() const = 0; };
    struct Square : Shape { long side; explicit Square(long s) : side(s) {}
        long area() const override { return side * side; } };
    struct Unit : Square { Unit() : Square(1) {} long area() const override { return 1; } };
    template <typename T> struct Counter { static T count; };
    template <typename T> T Counter<T>::count = 5;
    inline long once() { static std::string text = std::string(40, 'x'); return text.size(); }
    extern "C" long areas(long side) {
        std::vector<std::unique_ptr<Shape>> shapes;
        shapes.push_back(std::make_unique<Square>(side));
        shapes.push_back(std::make_unique<Unit>());
        long sum = 0;
        for (auto &shape : shapes) {
            sum += shape->area();
            if (dynamic_cast<Unit *>(shape.get())) sum += 1000;
        }
        return sum;
    }
    extern "C" long unique() { return ++Counter<long>::count + once(); }
    static long fail(long value) {
        std::string guard(64, 'g');
        if (value > 2) throw std::runtime_error("too large: " + std::to_string(value) + guard);
        return value;
    }
    extern "C" long caught(long value) {
        try { return fail(value); }
        catch (const std::exception &error) { return -long(std::string(error.what()).size()); }
    }
"#;

#[test]
fn runs_virtual_functions_templates_and_exceptions() {
    let image = shared_object(CXX, &[]);
    let loaded = Loaded::new(&image);
    assert!(loaded.unwind.is_some());
    assert_eq!(loaded.call_with("areas", 7), 49 + 1 + 1000);
    // GCC makes the template's variable a unique symbol; it still binds to the image itself.
    assert_eq!(loaded.call("unique"), 46);
    let second = Loaded::new(&image);
    assert_eq!(second.call("unique"), 46);
    assert_eq!(loaded.call_with("caught", 2), 2);
    assert_eq!(loaded.call_with("caught", 3), -("too large: 3".len() as i64 + 64));
}

#[test]
fn every_way_of_linking_gives_the_same_program() {
    let ways: [&[&str]; 9] = [
        &["-Wl,--hash-style=sysv"],
        &["-Wl,--hash-style=gnu"],
        &["-Wl,--hash-style=both"],
        &["-Wl,-z,pack-relative-relocs"],
        &["-Wl,-z,norelro"],
        &["-Wl,-z,now"],
        &["-Wl,-z,lazy", "-fplt"],
        &["-Wl,-Bsymbolic", "-Wl,--build-id=none"],
        &["-Wl,-z,max-page-size=65536", "-s", "-fno-plt"],
    ];
    for flags in ways {
        let image = match try_shared_object(CXX, flags) {
            // GNU ld before 2.38 warns about the option and leaves the relocations unpacked.
            Err(text) => panic!("{flags:?}: {text}"),
            Ok(image) => image,
        };
        let loaded = Loaded::new(&image);
        assert_eq!(loaded.call_with("areas", 3), 9 + 1 + 1000, "{flags:?}");
        assert_eq!(loaded.call("unique"), 46, "{flags:?}");
        assert_eq!(loaded.call_with("caught", 5), -76, "{flags:?}");
        let has_id = !flags.contains(&"-Wl,--build-id=none");
        assert_eq!(loaded.plan.build_id().map(<[u8]>::len), has_id.then_some(20), "{flags:?}");
    }
}

#[test]
fn the_pages_of_a_loaded_program_have_their_final_rights() {
    let source = r#"
        struct Base { virtual long work() { return 1; } };
        Base base;
        extern const char text[]; extern const char *const sealed[];
        const char text[] = "read only"; const char *const sealed[] = {text, text + 1};
        long data = 1; long zeros[9000];
        extern "C" long work() { return base.work(); }
        "#;
    let image = shared_object(source, &["-Wl,-z,now"]);
    let loaded = Loaded::new(&image);
    let address =
        |name: &str| loaded.image.address_of(&loaded.plan.export(name.as_bytes()).unwrap());
    let rows = [
        ("work", "r-x"),
        ("text", "r--"),
        ("sealed", "r--"),
        ("_ZTV4Base", "r--"),
        ("data", "rw-"),
        ("zeros", "rw-"),
    ];
    for (name, expected) in rows {
        assert_eq!(rights(address(name)), expected, "{name}");
    }
    // Guard pages on both sides.
    let (first, end) = (loaded.image.base(), loaded.image.base() + loaded.image.span() as u64);
    assert_eq!((rights(first - 1).as_str(), rights(end).as_str()), ("---", "---"));
    for page in (first..end).step_by(4096) {
        assert!(!rights(page).contains("wx"), "{page:#x}");
    }
}

/// What the constructors and destructors of the next test report, as decimal digits in order.
static ORDER: AtomicI64 = AtomicI64::new(0);

extern "C" fn report(digit: i64) {
    let order = ORDER.load(Ordering::Relaxed);
    ORDER.store(order * 10 + digit, Ordering::Relaxed);
}

#[test]
fn runs_constructors_forwards_and_destructors_backwards() {
    let image = shared_object(
        r#"
        extern "C" void report(long digit);
        extern "C" void first_of_all() { report(1); }
        extern "C" void last_of_all() { report(9); }
        struct Object { long in, out; Object(long i, long o) : in(i), out(o) { report(in); }
            ~Object() { report(out); } };
        __attribute__((init_priority(200))) static Object early(3, 7);
        static Object late(4, 6);
        __attribute__((constructor(101))) static void before() { report(2); }
        __attribute__((destructor(101))) static void after() { report(8); }
        extern "C" long work() { report(5); return 0; }
        "#,
        &["-Wl,-init=first_of_all", "-Wl,-fini=last_of_all"],
    );
    let symbols = ProcessSymbols::default().with("report", report as *const () as u64);
    let loaded = Loaded::with_symbols(&image, &symbols);
    assert_eq!(ORDER.load(Ordering::Relaxed), 1234);
    loaded.call("work");
    drop(loaded);
    // The objects go first: the start files' own finaliser calls __cxa_finalize, and it is the
    // last entry of an array that runs backwards.
    assert_eq!(ORDER.load(Ordering::Relaxed), 123_456_789);
}

#[test]
fn weak_imports_nobody_offers_are_zero() {
    let image = shared_object(
        r#"
        extern "C" __attribute__((weak)) long nobody(long);
        extern "C" __attribute__((weak)) long somebody(long);
        extern "C" long which() { return (nobody != nullptr) * 10 + (somebody != nullptr); }
        extern "C" long call(long value) { return somebody(value); }
        "#,
        &[],
    );
    extern "C" fn double(value: i64) -> i64 {
        2 * value
    }
    let symbols = ProcessSymbols::default().with("somebody", double as *const () as u64);
    let loaded = Loaded::with_symbols(&image, &symbols);
    assert_eq!(loaded.call("which"), 1);
    assert_eq!(loaded.call_with("call", 21), 42);
}

#[test]
fn lists_every_missing_import_in_one_error() {
    let image = shared_object(
        r#"
        extern "C" { void submit_task(long); long alloc_tensor(); extern long region; }
        extern "C" long work() { submit_task(region); return alloc_tensor(); }
        "#,
        &[],
    );
    let mut memory = slot();
    match commit(&plan_native(&image), &mut memory, &Names(&[("submit_task", 1)])) {
        Err(LoadError::Unresolved(missing)) => {
            let mut names: Vec<_> = missing.names().collect();
            names.sort_unstable();
            assert_eq!((missing.total(), names), (2, vec![&b"alloc_tensor"[..], b"region"]));
        }
        other => panic!("{other:?}"),
    }
    assert!(!memory.is_occupied());
}

#[test]
fn the_imports_of_an_ordinary_program_are_known() {
    let image = shared_object(CXX, &[]);
    let plan = plan_native(&image);
    let imports: Vec<_> = plan.imports().collect();
    let is_weak = |name: &str| {
        imports.iter().find(|import| import.name == name.as_bytes()).map(|import| import.weak)
    };
    for name in ["__gmon_start__", "_ITM_registerTMCloneTable", "__cxa_finalize"] {
        assert_eq!(is_weak(name), Some(true), "{name}");
    }
    for name in ["__cxa_throw", "__cxa_atexit", "__gxx_personality_v0", "_Znwm", "_ZdlPvm"] {
        assert_eq!(is_weak(name), Some(false), "{name}");
    }
    let needed: Vec<_> = plan.needed().collect();
    assert_eq!(needed.first(), Some(&&b"libstdc++.so.6"[..]));
    assert_eq!(needed.last(), Some(&&b"libc.so.6"[..]));
}

#[test]
fn refuses_the_other_machine() {
    let image = shared_object("extern \"C\" long work() { return 1; }", &[]);
    let (native, other) = match Machine::native() {
        Machine::X86_64 => (62, Machine::Aarch64),
        Machine::Aarch64 => (183, Machine::X86_64),
    };
    let found = plan(&image, other, &PlanLimits::default()).map(|_| ());
    assert_eq!(found, Err(PlanError::WrongMachine { value: native, expected: other }));
}

#[test]
fn hands_out_functions_only_as_functions() {
    let image = shared_object("extern \"C\" long work() { return 1; } long data = 3;", &[]);
    let plan = plan_native(&image);
    assert!(plan.exported_function(b"work").is_ok());
    assert_eq!(plan.exported_function(b"data"), Err(ExportError::NotFunction(1)));
    assert_eq!(plan.exported_function(b"worker"), Err(ExportError::Missing));
    assert!(plan.export(b"data").is_some());
}
