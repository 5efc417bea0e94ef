//! C++ code calls the Rust variadic entries, and what arrives is what the C library would print.
//!
//! A small C++ library is compiled when the tests run, so that the caller's side of the calling
//! convention is the real compiler's. It goes through many argument mixes; each call's handler
//! formats its arguments here, and `snprintf` formats the same ones there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use aicpu_executor::variadic::{
    FatalEntry, LeveledLogEntry, LogEntry, MESSAGE_BYTES, VaList, format_message,
};
use aicpu_executor::variadic_entry;

/// What a handler got.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Received {
    fixed: (usize, i32, String),
    text: String,
}

thread_local! {
    static RECEIVED: RefCell<Vec<Received>> = const { RefCell::new(Vec::new()) };
}

/// Formats and notes a call.
///
/// # Safety
///
/// That of `format_message`; `func` is a NUL-terminated string.
unsafe fn receive(
    runtime: usize,
    number: i32,
    func: *const c_char,
    fmt: *const c_char,
    args: &mut VaList<'_>,
) {
    // SAFETY: by contract.
    let func = unsafe { CStr::from_ptr(func) }.to_str().unwrap().to_owned();
    // SAFETY: by contract.
    let message = unsafe { format_message::<MESSAGE_BYTES>(fmt, args) };
    let received = Received { fixed: (runtime, number, func), text: message.as_str().to_owned() };
    RECEIVED.with_borrow_mut(|all| all.push(received));
}

unsafe fn on_log(func: *const c_char, fmt: *const c_char, args: &mut VaList<'_>) {
    // SAFETY: a handler's contract is that of `receive`, and the tests name themselves.
    unsafe { receive(0, 0, func, fmt, args) }
}

unsafe fn on_info(func: *const c_char, v: c_int, fmt: *const c_char, args: &mut VaList<'_>) {
    // SAFETY: as in `on_log`.
    unsafe { receive(0, v, func, fmt, args) }
}

unsafe fn on_fatal(
    runtime: *mut c_void,
    code: i32,
    func: *const c_char,
    fmt: *const c_char,
    args: &mut VaList<'_>,
) {
    // SAFETY: as in `on_log`.
    unsafe { receive(runtime.addr(), code, func, fmt, args) }
}

variadic_entry! { fn log_entry(fixed 2) -> on_log }
variadic_entry! { fn info_entry(fixed 3) -> on_info }
variadic_entry! { fn fatal_entry(fixed 4) -> on_fatal }

#[repr(C)]
struct Entries {
    log: LogEntry,
    info: LeveledLogEntry,
    fatal: FatalEntry,
}

static ENTRIES: Entries = Entries { log: log_entry(), info: info_entry(), fatal: fatal_entry() };

type RunCase =
    unsafe extern "C" fn(c_int, c_int, c_int, *const Entries, *mut c_char, usize) -> bool;

/// Compiles the C++ callers into `dir` and loads them.
fn callers(dir: &Path) -> libloading::Library {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/variadic_calls.cpp");
    let library = dir.join("variadic_calls.so");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "g++".into());
    let status = Command::new(compiler)
        .args(["-std=c++17", "-O1", "-Wno-format", "-fPIC", "-shared", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(status.success(), "the C++ callers do not compile");
    // SAFETY: the library has no initializers.
    unsafe { libloading::Library::new(&library) }.unwrap()
}

/// Runs the cases of a group through all three entries and compares each with the C library.
fn compare_group(group: c_int, cases: c_int) {
    let dir = tempfile::tempdir().unwrap();
    let library = callers(dir.path());
    // SAFETY: this is the function's type in the C++ source.
    let run_case = unsafe { library.get::<RunCase>(b"run_case") }.unwrap();
    let fixed = [
        (0, 0, "log".to_owned()),
        (0, 7, "info".to_owned()),
        ((&raw const ENTRIES).addr(), -9, "fatal".to_owned()),
    ];
    for case in 0..cases {
        for (kind, fixed) in (0..).zip(&fixed) {
            let mut expected = [0_u8; MESSAGE_BYTES + 1];
            let (buffer, size) = (expected.as_mut_ptr().cast(), expected.len());
            // SAFETY: the entries and the buffer live through the call.
            let ran = unsafe { run_case(group, case, kind, &raw const ENTRIES, buffer, size) };
            assert!(ran, "group {group} has no case {case}");
            let expected = CStr::from_bytes_until_nul(&expected).unwrap().to_str().unwrap();
            let received = RECEIVED.take();
            let [received] = received.as_slice() else { panic!("one call: {received:?}") };
            assert_eq!(received.text, expected, "group {group}, case {case}, entry {kind}");
            assert_eq!(&received.fixed, fixed, "group {group}, case {case}, entry {kind}");
        }
    }
    // SAFETY: as above.
    let more = unsafe { run_case(group, cases, 0, &raw const ENTRIES, [0; 8].as_mut_ptr(), 8) };
    assert!(!more, "group {group} has more cases than {cases}");
}

#[test]
fn integers_and_strings_from_cpp_print_as_in_c() {
    compare_group(0, 21);
}

#[test]
fn floating_point_numbers_from_cpp_print_as_in_c() {
    compare_group(1, 15);
}

#[test]
fn long_texts_from_cpp_are_cut_where_c_cuts_them() {
    compare_group(2, 9);
}

#[test]
fn a_null_format_is_an_empty_message() {
    // SAFETY: the handler takes a null format; the entry has no other arguments to read.
    unsafe { log_entry()(c"nothing".as_ptr(), std::ptr::null()) };
    let received = RECEIVED.take();
    assert_eq!(received, [Received { fixed: (0, 0, "nothing".into()), text: String::new() }]);
}

/// The Rust compiler as caller, whose C-variadic calls are LLVM's.
#[test]
fn calls_from_rust_print_as_in_c() {
    // SAFETY: the arguments match the format.
    unsafe {
        log_entry()(c"rust".as_ptr(), c"%d %s %.2f".as_ptr(), -1, c"two".as_ptr(), 3.125_f64);
    }
    assert_eq!(RECEIVED.take()[0].text, "-1 two 3.12");
}

thread_local! {
    static SEEN: RefCell<(usize, String)> = const { RefCell::new((0, String::new())) };
}

#[repr(align(16))]
struct Aligned(u8);

fn on_probe(_func: *const c_char, _fmt: *const c_char, _args: &mut VaList<'_>) {
    let local = Aligned(1);
    // The compiler places this relative to the stack pointer it relies on.
    let address = black_box(&raw const local).addr();
    black_box(local.0);
    SEEN.set((address % 16, Backtrace::force_capture().to_string()));
}

variadic_entry! { fn probe_entry(fixed 2) -> on_probe }

#[test]
fn the_handler_runs_on_an_aligned_stack_and_backtraces_go_through_the_entry() {
    for doubles in [false, true] {
        // SAFETY: the handler looks at no argument.
        unsafe {
            if doubles {
                probe_entry()(c"".as_ptr(), c"".as_ptr(), 1.0_f64, 2, 3.0_f64);
            } else {
                probe_entry()(c"".as_ptr(), c"".as_ptr());
            }
        }
        let (misaligned_by, trace) = SEEN.take();
        assert_eq!(misaligned_by, 0);
        let frames = ["on_probe", "trampoline", "backtraces_go_through_the_entry"];
        let positions = frames.map(|frame| trace.find(frame));
        assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{trace}");
    }
}

/// Calls twice in a row from the same stack position with a double in `xmm0`, the second time with
/// `al` saying that there is none. The save area then still holds what the first call put there.
#[cfg(target_arch = "x86_64")]
#[test]
fn vector_registers_are_left_alone_if_al_is_zero() {
    // SAFETY: two C calls. The registers that carry values over the first are preserved by it, and
    // the second reads its double from the entry's own frame, which the first has filled.
    unsafe {
        std::arch::asm!(
            "movq xmm0, r14",
            "mov rdi, r12",
            "mov rsi, r13",
            "mov eax, 1",
            "call r15",
            "xorps xmm0, xmm0",
            "mov rdi, r12",
            "mov rsi, r13",
            "xor eax, eax",
            "call r15",
            in("r15") log_entry(),
            in("r12") c"asm".as_ptr(),
            in("r13") c"%f".as_ptr(),
            in("r14") 2.5_f64.to_bits(),
            clobber_abi("C"),
        );
    }
    let texts: Vec<String> = RECEIVED.take().into_iter().map(|received| received.text).collect();
    assert_eq!(texts, ["2.500000", "2.500000"]);
}
