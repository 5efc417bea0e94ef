//! Destructors of compiled images: each runs once, when its own instance goes, and never later.
//!
//! The start files of every shared object call `__cxa_finalize` with the address of a variable of
//! the image, `__dso_handle`; so two instances of the same bytes are two different owners.

#[path = "support/support.rs"]
mod support;

use std::env;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use aicpu_executor::loader::{Machine, PlanError, PlanLimits, SymbolName, plan};
use support::Loaded;
use support::compiler::shared_object;
use support::process_symbols::ProcessSymbols;

/// What images have reported: number of the instance, and of the event.
static EVENTS: Mutex<Vec<(i64, i64)>> = Mutex::new(Vec::new());
/// Tests that look at the events take turns.
static TURN: Mutex<()> = Mutex::new(());

extern "C" fn report(instance: i64, event: i64) {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner).push((instance, event));
}

fn events() -> Vec<(i64, i64)> {
    std::mem::take(&mut *EVENTS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Objects of all kinds that have destructors.
const OBJECTS: &str = r#"
    extern "C" void report(long instance, long event);
    static long instance = 0;
    struct Object { long end; Object(long e) : end(e) {} ~Object() { report(instance, end); } };
    static Object first(4), second(3);
    extern "C" long name(long number) { return instance = number; }
    extern "C" long use_local() { static Object local(2); return local.end; }
    extern "C" int __cxa_atexit(void (*)(void *), void *, void *);
    extern void *__dso_handle __attribute__((visibility("hidden")));
    static void called(void *event) { report(instance, (long)event); }
    extern "C" long use_function() { return __cxa_atexit(called, (void *)1, &__dso_handle); }
    __attribute__((destructor)) static void last() { report(instance, 5); }
"#;

fn load(image: &[u8], instance: i64) -> Loaded<'_> {
    let symbols = ProcessSymbols::default().with("report", report as *const () as u64);
    let loaded = Loaded::with_symbols(image, &symbols);
    assert_eq!(loaded.call_with("name", instance), instance);
    loaded
}

#[test]
fn destructors_of_two_instances_run_once_each_when_theirs_goes() {
    let _turn = TURN.lock();
    let image = shared_object(OBJECTS, &["-fno-threadsafe-statics"]);
    let one = load(&image, 1);
    let two = load(&image, 2);
    assert_eq!((two.call("use_local"), two.call("use_function")), (2, 0));
    assert_eq!(one.call("use_local"), 2);
    assert_eq!(events(), []);

    drop(one);
    // Objects go against the order in which they came; whether the image's own finaliser is called
    // before or after them is up to the start files.
    let of = |instance, order: &[i64]| order.iter().map(|each| (instance, *each)).collect();
    let sorted = |mut events: Vec<(i64, i64)>| {
        let last = events.iter().position(|(_, event)| *event == 5).expect("it ran");
        let last = events.remove(last);
        (events, last)
    };
    assert_eq!(sorted(events()), (of(1, &[2, 3, 4]), (1, 5)));
    drop(two);
    assert_eq!(sorted(events()), (of(2, &[1, 2, 3, 4]), (2, 5)));
}

#[test]
fn an_image_can_come_and_go_and_come_again() {
    let _turn = TURN.lock();
    let image = shared_object(OBJECTS, &[]);
    for instance in 0..3 {
        drop(load(&image, instance));
        assert_eq!(events().len(), 3, "{instance}");
    }
}

/// In a process of its own, which ends: what was left behind would run then, without its code.
#[test]
fn nothing_is_left_for_the_end_of_the_process() {
    const CHILD: &str = "LOADER_DESTRUCTORS_CHILD";
    let _turn = TURN.lock();
    if env::var_os(CHILD).is_some() {
        let image = shared_object(OBJECTS, &[]);
        let loaded = load(&image, 7);
        loaded.call("use_local");
        loaded.call("use_function");
        drop(loaded);
        assert_eq!(events().len(), 5);
        return;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_for_the_end_of_the_process"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{} {text}", child.status);
}

/// Plans an image that must be refused.
fn refusal(source: &str, flags: &[&str]) -> PlanError {
    let image = shared_object(source, flags);
    match plan(&image, Machine::native(), &PlanLimits::default()) {
        Err(error) => error,
        Ok(_) => panic!("{source} was accepted"),
    }
}

#[test]
fn destructors_that_nobody_would_run_at_unload_are_refused() {
    // The start files define the handle, and the finaliser that takes everything back.
    let source =
        "extern \"C\" __attribute__((visibility(\"hidden\"))) void *__dso_handle = nullptr;
        struct Object { ~Object(); }; Object::~Object() {} static Object object;";
    let refused = refusal(source, &["-nostartfiles"]);
    assert!(matches!(refused, PlanError::ExitFunctionsStay { .. }), "{refused:?}");
    assert!(refused.to_string().contains("__cxa_finalize"), "{refused}");
}

#[test]
fn calls_at_the_end_of_a_thread_are_refused_by_name() {
    for name in ["__cxa_thread_atexit", "__cxa_thread_atexit_impl"] {
        let source = format!(
            "extern \"C\" int {name}(void (*)(void *), void *, void *);
             static void end(void *) {{}}
             extern \"C\" long work() {{ return {name}(end, nullptr, nullptr); }}"
        );
        match refusal(&source, &[]) {
            PlanError::ThreadExitFunction { name: found, .. } => {
                assert_eq!(found, SymbolName::new(name.as_bytes()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn names_that_only_begin_like_those_are_no_reason() {
    let source = "extern \"C\" long __cxa_thread_atexit_x(); extern \"C\" long __cxa_atexit2();
        extern \"C\" long work() { return __cxa_thread_atexit_x() + __cxa_atexit2(); }";
    let image = shared_object(source, &["-nostartfiles"]);
    let planned = plan(&image, Machine::native(), &PlanLimits::default()).map(|_| ());
    assert_eq!(planned, Ok(()));
}
