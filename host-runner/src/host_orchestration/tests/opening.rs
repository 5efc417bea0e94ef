//! What can be opened, what cannot, and what is left of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::*;
use crate::device::ImageError;
use crate::device::image::NATIVE_MACHINE;

const SHORT: Duration = Duration::from_millis(50);

/// Lines that count in `counter` when the object is closed.
fn counting_the_end(counter: &'static AtomicU32) -> String {
    let address = std::ptr::from_ref(counter).expose_provenance();
    format!("struct End {{ ~End() {{ ++*(volatile uint32_t *){address}ull; }} }} end;")
}

/// Waits until code of a test object has counted to `count`.
#[track_caller]
fn wait_for(counter: &AtomicU32, count: u32) {
    let start = Instant::now();
    while counter.load(Ordering::SeqCst) != count {
        assert!(start.elapsed() < LONG, "it is at {counter:?}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn refused(image: &[u8], entry: &str, limit: Duration) -> HostOrchestrationError {
    HostOrchestration::open(image, entry, limit).expect_err("it cannot be opened")
}

#[test]
fn an_orchestration_goes_to_any_thread() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<HostOrchestration>();
    is_shared::<RunMemory>();
}

#[test]
fn what_is_no_image_with_this_entry_is_refused_before_anything_runs() {
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let image = source(&counting_the_end(&ENDED), "return 0;");
    let error = |image: &[u8], entry| match refused(image, entry, LONG) {
        HostOrchestrationError::Image(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(b"", "build_graph"), ImageError::NotElf { found: vec![] });
    assert!(matches!(error(&image[..200], "build_graph"), ImageError::Truncated { .. }));
    let mut foreign = image.clone();
    foreign[18..20].copy_from_slice(&(NATIVE_MACHINE + 1).to_le_bytes());
    assert!(matches!(error(&foreign, "build_graph"), ImageError::WrongMachine { .. }));
    let missing = ImageError::MissingSymbol { symbol: "other".to_owned() };
    assert_eq!(error(&image, "other"), missing);
    for entry in ["", "build_graph\0"] {
        assert!(matches!(error(&image, entry), ImageError::MissingSymbol { .. }));
    }
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    let image = source("extern \"C\" int nobody_has_this();", "return nobody_has_this();");
    let error = refused(&image, "build_graph", LONG);
    assert!(matches!(&error, HostOrchestrationError::Loader { .. }), "{error:?}");
    assert!(error.to_string().contains("nobody_has_this"), "{error}");
}

#[test]
fn a_constructor_that_throws_is_told_and_the_object_is_closed() {
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let globals = counting_the_end(&ENDED)
        + "static int fail() { throw std::runtime_error(\"no table\"); }\nint value = fail();";
    let error = refused(&source(&globals, "return 0;"), "build_graph", LONG);
    let text = "a C++ exception left one of its constructors: std::runtime_error: no table";
    assert_eq!(error.to_string(), text);
    wait_for(&ENDED, 1);
}

#[test]
fn a_constructor_that_does_not_return_is_told_at_the_limit_and_closed_when_it_does() {
    static ENDED: AtomicU32 = AtomicU32::new(0);
    static GO_ON: AtomicU32 = AtomicU32::new(0);
    let wait = format!(
        "static int wait() {{ while (!*(volatile uint32_t *){}ull); return 1; }} int waited = wait();",
        std::ptr::from_ref(&GO_ON).expose_provenance()
    );
    let image = source(&(counting_the_end(&ENDED) + &wait), "return 0;");
    let error = refused(&image, "build_graph", SHORT);
    let text = "its constructors have not returned within 50 ms; look for an endless loop in them";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
    GO_ON.store(1, Ordering::SeqCst);
    wait_for(&ENDED, 1);
}

#[test]
fn closing_and_dropping_run_the_destructors_once() {
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let image = source(&counting_the_end(&ENDED), "return 0;");
    let open = || HostOrchestration::open(&image, "build_graph", LONG).unwrap();
    let (first, second) = (open(), open());
    Fixture::new().build(&first).unwrap();
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
    first.close().unwrap();
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
    // The same bytes, opened twice, are two objects.
    Fixture::new().build(&second).unwrap();
    drop(second);
    assert_eq!(ENDED.load(Ordering::SeqCst), 2);
}

#[test]
fn a_destructor_that_does_not_return_is_told_at_the_limit_and_others_open_once_it_does() {
    static GO_ON: AtomicU32 = AtomicU32::new(0);
    let address = std::ptr::from_ref(&GO_ON).expose_provenance();
    let globals =
        format!("struct End {{ ~End() {{ while (!*(volatile uint32_t *){address}ull); }} }} end;");
    let image = source(&globals, "return 0;");
    let orchestration = HostOrchestration::open(&image, "build_graph", SHORT).unwrap();
    assert_eq!(orchestration.close(), Err(NotClosed::NotReturned { limit: SHORT }));
    // The system's loader holds its lock while destructors run.
    let waiting = refused(&source("", "return 0;"), "build_graph", SHORT);
    assert!(matches!(waiting, HostOrchestrationError::NotReturned { .. }), "{waiting:?}");
    let text = "or in destructors of an object that was closed before";
    assert!(waiting.to_string().contains(text), "{waiting}");
    GO_ON.store(1, Ordering::SeqCst);
    open("", "return 0;").close().unwrap();
}

#[test]
fn nothing_of_it_is_a_file_that_others_could_find() {
    let orchestration = open("int here = 1;", "return here - 1;");
    // SAFETY: only the address of the symbol is used.
    let here = unsafe { orchestration.library.as_ref().unwrap().get::<*const i32>(b"here\0") };
    let address = here.unwrap().into_raw().addr();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        (number(start)..number(end)).contains(&address)
    });
    let name = line.unwrap().split_whitespace().skip(5).collect::<Vec<_>>().join(" ");
    assert!(name.is_empty() || name == "/memfd:orchestration (deleted)", "{name}");
    assert_eq!(Fixture::new().build(&orchestration).unwrap().outputs, []);
}
