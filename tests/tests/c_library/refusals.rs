//! Every call that is refused, with its number and its text; the library works afterwards.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use protocol::{ChipStorageTaskArgs, DataType};
use tests::c_library::{Client, HostLibrary, REFERENCE_FUNCTIONS, arguments, tensor};

use crate::setting::{CHIPS, Floats, GOLDEN, cells, held, vector_add, with_client};

/// Handles that are no context, and are not followed.
fn wrong_handles() -> [*mut c_void; 4] {
    [ptr::null_mut(), ptr::dangling_mut(), ptr::without_provenance_mut(0xDEAD_BEEF_0000), {
        let library = HostLibrary::open("a2a3_trb");
        library.attach().context
    }]
}

#[track_caller]
fn assert_refused(client: &Client<'_>, code: c_int, part: &str) {
    let text = client.last_error();
    assert_eq!(code, -1, "{text}");
    assert!(text.contains(part), "{part:?} is missing in: {text}");
}

/// Calls every function of the reference with `context` and nothing else, and returns what the ones
/// with a result gave.
fn call_all(library: &HostLibrary, context: *mut c_void) -> Vec<(&'static str, isize)> {
    // Every argument and every result is a word, of which an `int` is the lower half.
    type Words = unsafe extern "C" fn(*mut c_void, usize, usize, usize, usize, usize) -> isize;
    let skipped = ["create_device_context", "get_runtime_size"];
    let is_void = |name: &str| ["destroy_device_context", "device_free_ctx"].contains(&name);
    let mut results = Vec::new();
    for name in REFERENCE_FUNCTIONS.into_iter().filter(|name| !skipped.contains(name)) {
        // SAFETY: words beyond those that a function takes are not looked at, and where it takes
        // more than are given here, it has refused the context before it looks.
        let result = unsafe { library.function::<Words>(name)(context, 0, 0, 0, 0, 0) };
        if !is_void(name) {
            results.push((name, result));
        }
    }
    results
}

/// Spec callable §2: NULL gives -1, NULL or 0, and nothing happens. §7.3, R9: also before any init, and
/// for communicators that there are none of.
#[test]
fn r9_no_context_is_an_error_of_every_function() {
    let library = HostLibrary::open("a2a3_trb");
    for handle in wrong_handles() {
        for (name, result) in call_all(&library, handle) {
            let is_count = name.ends_with("_count");
            let is_pointer = ["device_malloc_ctx", "create_comm_stream_ctx", "comm_init"];
            let expected = if is_count || is_pointer.contains(&name) { 0 } else { -1 };
            // CAST: the lower half is the `int`.
            assert_eq!(
                if expected == 0 { result } else { result as c_int as isize },
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn a_device_is_named_by_a_number_from_0_and_stays() {
    let library = HostLibrary::open("a5_hbg");
    let client = library.create();
    assert_refused(&client, client.init(-1), "device -1");
    assert_eq!((client.init(2), client.init(2)), (0, 0));
    assert_refused(&client, client.init(1), "device 2");
    assert_eq!(client.finalize(), 0);
    assert_eq!(client.init(1), 0);
}

#[test]
fn before_init_every_call_that_needs_a_device_says_so() {
    let library = HostLibrary::open("a2a3_trb");
    let client = library.create();
    let mut floats = Floats::new();
    assert_refused(&client, client.prepare(0, &vector_add(CHIPS[0].1)), "simpler_init");
    assert_refused(&client, client.run(0, &floats.record()), "simpler_init");
    assert!(client.allocate(8).is_null());
    let mut bytes = [0u8; 8];
    let here = bytes.as_mut_ptr().cast();
    assert_refused(&client, client.copy("copy_to_device_ctx", here, here, 8), "simpler_init");
    client.free(here);
    assert_eq!((client.unregister(0), client.finalize(), client.loads()), (0, 0, (0, 0)));
}

#[test]
fn preparing_is_refused_for_ids_out_of_range_and_in_use_and_for_what_is_no_callable() {
    with_client(|client| {
        let blob = vector_add(CHIPS[0].1);
        let before = held(client);
        for cid in [-1, 64, 1024, i32::MIN, i32::MAX] {
            assert_refused(client, client.prepare(cid, &blob), "0..64");
            assert_eq!(client.unregister(cid), 0, "unregistering has no range");
        }
        assert_refused(client, client.prepare_at(0, ptr::null()), "NULL");
        let mut empty = blob.clone();
        empty[260..264].fill(0);
        assert_refused(client, client.prepare(0, &empty), "empty");
        assert_eq!(held(client), before, "nothing stays behind");
        assert_eq!((client.prepare(0, &blob), client.prepare(63, &blob)), (0, 0));
        assert_refused(client, client.prepare(63, &blob), "prepared already");
        Floats::run_and_check(client, 63, GOLDEN);
    });
}

#[test]
fn running_is_refused_for_unknown_ids_wrong_settings_and_pointers() {
    with_client(|client| {
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        let mut floats = Floats::new();
        let record = floats.record();
        let record_at = ptr::from_ref(&record).cast();
        for cid in [1, 63, 64, -1, i32::MIN, i32::MAX] {
            assert_refused(client, client.run(cid, &record), "not prepared");
        }
        assert_refused(client, client.run_at(0, ptr::null(), 3, 4, 0), "NULL");
        assert_refused(
            client,
            client.run_in(ptr::null_mut(), 0, record_at, (3, 4, 0), None),
            "NULL",
        );
        for (block_dim, threads, part) in [
            (0, 4, "block_dim"),
            (25, 4, "block_dim"),
            (-1, 4, "block_dim"),
            (3, 0, "AICPU"),
            (3, 5, "AICPU"),
            (3, i32::MIN, "aicpu_thread_num"),
        ] {
            assert_refused(client, client.run_at(0, record_at, block_dim, threads, 0), part);
        }
        assert_refused(client, client.run_at(0, record_at, 3, 4, 1), "device 0");
        floats.check(0.0);
        assert_eq!(client.loads(), (0, 0), "what was refused is not counted");
        Floats::run_and_check(client, 0, GOLDEN);
    });
}

#[test]
fn arguments_that_make_no_sense_are_refused_by_name() {
    with_client(|client| {
        assert_eq!(client.prepare(0, cells("chains_all", Vec::new()).blob()), 0);
        let mut own = [1u64; 4];
        let good = tensor(DataType::Uint64, &mut own);
        let refuse = |change: &dyn Fn(&mut ChipStorageTaskArgs), part| {
            let mut record = arguments(&[good, good], &[]);
            change(&mut record);
            assert_refused(client, client.run(0, &record), part);
        };
        refuse(&|it| it.tensor_count = 65, "tensor count 65");
        refuse(&|it| it.tensor_count = -1, "tensor count -1");
        refuse(&|it| it.scalar_count = 129, "scalar count 129");
        refuse(&|it| it.tensors[1].ndims = 6, "tensor 1");
        refuse(&|it| it.tensors[1].dtype = 11, "tensor 1");
        refuse(&|it| it.tensors[1].shapes[0] = 0, "tensor 1");
        refuse(&|it| it.tensors[1].data = 0, "tensor 1 is NULL");
        refuse(&|it| it.tensors[0].data = 0x10, "tensor 0: 32 bytes at 0x10");
        refuse(&|it| it.tensors[0].shapes[0] = 1 << 30, "tensor 0");
        refuse(&|it| (it.tensors[0].ndims, it.tensors[0].shapes) = (5, [u32::MAX; 5]), "tensor 0");
        // Constants of this program are memory that cannot be written.
        static CONSTANT: [u64; 4] = [1; 4];
        let constant = CONSTANT.as_ptr().expose_provenance() as u64;
        refuse(&|it| it.tensors[0].data = constant, "writable");
        assert_eq!(own, [1; 4]);
    });
}

/// Diagnostics are not recorded yet, which is no error; a folder that cannot be read is.
#[test]
fn a_folder_for_diagnostics_is_read_as_far_as_it_goes() {
    with_client(|client| {
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        let run = |folder: *const c_char| {
            let mut floats = Floats::new();
            let (record, mut runtime) = (floats.record(), vec![0u8; 22400]);
            let (runtime, record) = (runtime.as_mut_ptr().cast(), ptr::from_ref(&record).cast());
            let code = client.run_in(runtime, 0, record, (3, 4, 0), Some(folder));
            floats.check(if code == 0 { GOLDEN } else { 0.0 });
            code
        };
        let long = [b'x'; 1024];
        assert_eq!((run(ptr::null()), run(c"some/folder".as_ptr())), (0, 0));
        assert_refused(client, run(long.as_ptr().cast()), "1024 bytes");
        assert_refused(client, run(ptr::without_provenance(0x10)), "output_prefix");
    });
}

/// Not a refusal: nothing of a client's has to be aligned (spec callable §7.1, H14).
#[test]
fn records_and_tensors_may_lie_at_any_address() {
    with_client(|client| {
        assert_eq!(client.prepare(0, cells("chains_all", Vec::new()).blob()), 0);
        for shift in 0..8 {
            let mut bytes = [0u8; 16];
            bytes[shift..shift + 8].copy_from_slice(&5u64.to_le_bytes());
            let mut cell = tensor(DataType::Uint64, &mut [0u64; 4]);
            cell.data = bytes[shift..].as_mut_ptr().expose_provenance() as u64;
            let record = arguments(&[cell], &[]);
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(zerocopy::IntoBytes::as_bytes(&record));
            let at = shifted[shift..].as_ptr().cast();
            assert_eq!(client.run_at(0, at, 3, 4, 0), 0, "{}", client.last_error());
            assert_eq!(bytes[shift..shift + 8], 20u64.to_le_bytes());
        }
    });
}

#[test]
fn device_tensors_have_to_be_inside_one_live_allocation() {
    with_client(|client| {
        assert_eq!(client.prepare(0, cells("chains_all", Vec::new()).blob()), 0);
        let memory = client.allocate(32);
        let mut own = [1u64, 2, 3, 4];
        assert_eq!(client.copy("copy_to_device_ctx", memory, own.as_ptr().cast(), 32), 0);
        let mut device = tensor(DataType::Uint64, &mut own);
        device.child_memory = 1;
        device.data = memory.expose_provenance() as u64;
        let record = arguments(&[device], &[]);
        // 3 c + c + 0, in place.
        assert_eq!(client.run(0, &record), 0, "{}", client.last_error());
        assert_eq!(own, [1, 2, 3, 4], "device memory is not copied back");
        assert_eq!(client.copy("copy_from_device_ctx", own.as_mut_ptr().cast(), memory, 32), 0);
        assert_eq!(own, [4, 8, 12, 16]);
        let refuse = |address: u64, count| {
            let mut wrong = device;
            (wrong.data, wrong.shapes[0]) = (address, count);
            client.run(0, &arguments(&[wrong], &[]))
        };
        for (address, count) in [(0, 4), (device.data + 8, 4), (device.data, 5), (64, 1)] {
            assert_eq!(refuse(address, count), -1, "{address:#x} {count}");
        }
        client.free(memory);
        assert_refused(client, client.run(0, &record), "live allocation");
    });
}

#[test]
fn device_memory_is_copied_within_bounds_only_and_freed_once() {
    with_client(|client| {
        let (to, from) = ("copy_to_device_ctx", "copy_from_device_ctx");
        let memory = client.allocate(16);
        let mut bytes = [7u8; 32];
        let here: *mut c_void = bytes.as_mut_ptr().cast();
        assert_eq!(client.copy(to, memory, here, 16), 0);
        assert_eq!((client.copy(to, memory, here, 0), client.copy(from, here, memory, 0)), (0, 0));
        for (device, host, count) in [
            (memory, here, 17),
            (memory.wrapping_byte_add(1), here, 16),
            (ptr::null_mut(), here, 16),
            (memory, ptr::null_mut(), 16),
            (memory, ptr::dangling_mut(), 16),
            (here, here, 16),
            (memory, here, usize::MAX),
        ] {
            assert_eq!(client.copy(to, device, host, count), -1, "{device:p} {host:p} {count}");
            assert_eq!(client.copy(from, host, device, count), -1, "{device:p} {host:p} {count}");
        }
        // On a simulator device memory is memory of the process, so it can be on both sides.
        assert_eq!(client.copy(to, memory, memory, 16), 0);
        assert_eq!(client.copy(from, memory, memory, 16), 0);
        bytes.fill(0);
        assert_eq!(client.copy(from, here, memory, 16), 0);
        assert_eq!((bytes[..16].to_vec(), bytes[16]), (vec![7; 16], 0));
        let before = held(client);
        for wrong in [ptr::null_mut(), here, memory.wrapping_byte_add(8), ptr::dangling_mut()] {
            client.free(wrong);
        }
        assert_eq!(held(client), before);
        client.free(memory);
        client.free(memory);
        assert_eq!(client.copy(from, here, memory, 16), -1);
        assert!(client.allocate(usize::MAX).is_null() && client.allocate(1 << 60).is_null());
        assert!(!client.allocate(0).is_null());
    });
}
