//! The guard against shared objects that were compiled without any support of ours.

use super::guarded;
use crate::device::sim::test_objects::{Object, cxx};

const THROWERS: &str = r#"
#include <stdexcept>
#include <string>
struct Own { int value; };
struct Left { virtual ~Left() {} long pad = 1; };
struct Both : Left, std::runtime_error { Both() : std::runtime_error("second base") {} };
static int destroyed = 0;
struct Counted { ~Counted() { ++destroyed; } };
extern "C" {
void throws_int() { throw 42; }
void throws_error() { throw std::runtime_error(std::string("tile ") + "7"); }
void throws_own() { throw Own{3}; }
void throws_second_base() { throw Both(); }
void throws_past_locals() { Counted one, two; throw Own{1}; }
int destroyed_count() { return destroyed; }
int uncaught() { return std::uncaught_exceptions(); }
int adds(int a, int b) { try { throw a; } catch (int thrown) { return thrown + b; } }
}
"#;

type Thrower = unsafe extern "C-unwind" fn();
type Number = unsafe extern "C-unwind" fn() -> i32;

#[track_caller]
fn thrown_by(object: &Object, symbol: &str) -> String {
    // SAFETY: the source above defines it with this signature.
    let thrower = unsafe { object.symbol::<Thrower>(symbol) };
    // SAFETY: as above.
    guarded(|| unsafe { thrower() }).expect_err("it throws")
}

#[track_caller]
fn number(object: &Object, symbol: &str) -> i32 {
    // SAFETY: the source above defines it with this signature.
    let function = unsafe { object.symbol::<Number>(symbol) };
    // SAFETY: as above.
    guarded(|| unsafe { function() }).expect("it does not throw")
}

#[test]
fn exceptions_of_any_type_become_text_and_are_destroyed() {
    let object = cxx("throwers", THROWERS, &[]);
    assert_eq!(thrown_by(&object, "throws_int"), "int");
    assert_eq!(thrown_by(&object, "throws_error"), "std::runtime_error: tile 7");
    assert_eq!(thrown_by(&object, "throws_own"), "Own");
    assert_eq!(thrown_by(&object, "throws_second_base"), "Both: second base");
    assert_eq!(number(&object, "uncaught"), 0);
}

#[test]
fn locals_of_the_throwing_frames_are_destroyed() {
    let object = cxx("locals", THROWERS, &[]);
    assert_eq!(thrown_by(&object, "throws_past_locals"), "Own");
    assert_eq!(number(&object, "destroyed_count"), 2);
}

#[test]
fn a_call_that_catches_its_own_exception_returns_its_value() {
    let object = cxx("catcher", THROWERS, &[]);
    type Adds = unsafe extern "C-unwind" fn(i32, i32) -> i32;
    // SAFETY: the source above defines it with this signature.
    let adds = unsafe { object.symbol::<Adds>("adds") };
    // SAFETY: as above.
    assert_eq!(guarded(|| unsafe { adds(40, 2) }), Ok(42));
}

#[test]
fn a_statically_linked_runtime_is_caught_too() {
    let object = cxx("static", THROWERS, &["-static-libstdc++"]);
    let text = thrown_by(&object, "throws_error");
    // Which of the two depends on whether another test has made libstdc++ resident.
    assert!(text == "std::runtime_error: tile 7" || text.contains("statically linked"), "{text}");
}

#[test]
fn a_rust_panic_passes_through() {
    let caught = std::panic::catch_unwind(|| guarded(|| panic!("mine")));
    let message = caught.expect_err("the guard lets it through");
    assert_eq!(message.downcast_ref::<&str>(), Some(&"mine"));
}

#[test]
fn guards_nest() {
    let object = cxx("nested", THROWERS, &[]);
    // SAFETY: the source above defines it with this signature.
    let thrower = unsafe { object.symbol::<Thrower>("throws_int") };
    // SAFETY: as above.
    let outer = guarded(|| guarded(|| unsafe { thrower() }).is_err());
    assert_eq!(outer, Ok(true));
}
