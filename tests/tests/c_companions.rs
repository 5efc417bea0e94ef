//! The libraries that clients open around the C library: log and context of the simulator. A program of
//! its own, since the levels of the log are those of the process.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Mutex;

use host_runner::worker::PlatformName;
use libloading::os::unix::Library;
use protocol::DataType;
use tests::c_library::{HostLibrary, arguments, open_companions, tensor};
use tests::sources;

/// What the sink was told.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

unsafe extern "C" fn collect(
    level: c_int,
    _: c_int,
    origin: *const c_char,
    text: *const c_char,
    user: *mut c_void,
) {
    assert_eq!(user.addr(), 42);
    // SAFETY: the header says that both are ended.
    let (origin, text) = unsafe { (CStr::from_ptr(origin), CStr::from_ptr(text)) };
    let line = format!("{level} {} {}", origin.to_string_lossy(), text.to_string_lossy());
    LINES.lock().unwrap().push(line);
}

#[test]
fn init_sets_levels_and_device_and_the_log_goes_to_the_clients_sink() {
    open_companions();
    type Get = unsafe extern "C" fn() -> c_int;
    type Sink = unsafe extern "C" fn(c_int, c_int, *const c_char, *const c_char, *mut c_void);
    type SetSink = unsafe extern "C" fn(Option<Sink>, *mut c_void);
    let process = Library::this();
    // SAFETY: the types in the headers.
    let (level, tier, device, set_sink) = unsafe {
        (
            *process.get::<Get>(b"simpler_rs_log_v1_level").unwrap(),
            *process.get::<Get>(b"simpler_rs_log_v1_info_v").unwrap(),
            *process.get::<Get>(b"simpler_rs_sim_context_v1_device").unwrap(),
            *process.get::<SetSink>(b"simpler_rs_log_v1_set_sink").unwrap(),
        )
    };
    let library = HostLibrary::open("a5_trb");
    let client = library.create();
    // SAFETY: the sink is a function of this program.
    unsafe { set_sink(Some(collect), std::ptr::without_provenance_mut(42)) };
    // SAFETY: any thread may ask.
    unsafe { assert_eq!((client.init(-3), device()), (-1, -1)) };
    // SAFETY: as above. What fails leaves the levels as they are.
    unsafe { assert_eq!((client.init_with(-3, 0, 0), level(), tier()), (-1, 1, 5)) };
    assert_eq!(client.init_with(6, 1, 0), 0);
    // SAFETY: as above.
    unsafe { assert_eq!((level(), tier(), device()), (1, 0, 6)) };
    let (_, callable) = sources::example_for(PlatformName::A5Sim, "vector_add");
    assert_eq!(client.prepare(0, callable.blob()), 0);
    let mut cells = [[0.5f32; 16]; 3];
    let square = |cells: &mut [f32; 16]| {
        let mut square = tensor(DataType::Float32, cells);
        (square.shapes, square.ndims) = ([4, 4, 0, 0, 0], 2);
        square
    };
    let record = arguments(&cells.each_mut().map(square), &[]);
    assert_eq!(client.run_at(0, std::ptr::from_ref(&record).cast(), 3, 4, 6), 0);
    assert_eq!(cells[2], [7.0; 16]);
    assert_eq!((client.unregister(0), client.finalize()), (0, 0));
    // SAFETY: as above; no sink needs nothing.
    unsafe {
        assert_eq!(device(), -1);
        set_sink(None, std::ptr::null_mut());
    }
    // What the orchestration logs at the lowest tier, under the name of its function.
    let lines = LINES.lock().unwrap();
    let logged = "1 aicpu_orchestration_entry vector_add: 16 elements";
    assert!(lines.iter().any(|line| line == logged), "{lines:?}");
    let said = |part: &str| {
        lines.iter().any(|line| line.starts_with("1 host_runner") && line.contains(part))
    };
    assert!(said("registered callable") && said("unregistered"), "{lines:?}");
}
