//! Several users at once: processes, contexts of one process, variants of one process, threads of one
//! context; and the C example, which is a process of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;
use tests::c_library::{HostLibrary, path};
use tests::sources::{self, repository};

use crate::host_graphs::HBG;
use crate::setting::{CHIPS, Floats, GOLDEN, vector_add};

/// The folder of the C library.
fn capi() -> PathBuf {
    repository().join("host-runner/capi")
}

/// Runs the system's compiler with all warnings as errors.
fn compile(program: &str, standard: &str, arguments: &[&std::ffi::OsStr]) {
    let mut command = Command::new(program);
    command.args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]);
    let output = command.arg(capi().join("include")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The example, and a folder of libraries of one variant for it.
fn build_example(folder: &Path, variant: &str) -> PathBuf {
    let (source, program) = (capi().join("examples/drive.c"), folder.join("drive"));
    compile("cc", "-std=c99", &[source.as_ref(), "-o".as_ref(), program.as_ref(), "-ldl".as_ref()]);
    for (name, built) in [
        ("libsimpler_log.so", path("simpler_log")),
        ("libcpu_sim_context.so", path("cpu_sim_context")),
        ("libhost_runtime.so", path(&format!("host_runtime_{variant}"))),
    ] {
        symlink(built, folder.join(name)).unwrap();
    }
    program
}

fn start(program: &Path, blob: &Path) -> Child {
    let mut command = Command::new(program);
    let folder = program.parent().unwrap();
    command.args([folder, folder, blob]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_headers_are_clean_c99_and_cpp() {
    for header in ["host_runtime.h", "simpler_log.h", "cpu_sim_context.h"] {
        let header = capi().join("include").join(header);
        compile("cc", "-std=c99", &["-fsyntax-only".as_ref(), header.as_ref()]);
        let flags = ["-fsyntax-only", "-x", "c++"].map(std::ffi::OsStr::new);
        compile("c++", "-std=c++11", &[&flags[..], &[header.as_ref()]].concat());
    }
}

#[test]
fn the_c_example_drives_the_library_of_each_variant_in_two_processes_at_once() {
    let trb = CHIPS.map(|(variant, platform)| (variant, vector_add(platform)));
    let graph = |platform| sources::example_for(platform, "hbg_vector").1.blob().to_vec();
    let hbg = HBG.map(|(variant, platform, _)| (variant, graph(platform)));
    for (variant, callable) in trb.into_iter().chain(hbg) {
        let folder = TempDir::new().unwrap();
        let program = build_example(folder.path(), variant);
        let blob = folder.path().join("blob");
        fs::write(&blob, &callable).unwrap();
        let both = [start(&program, &blob), start(&program, &blob)];
        for output in both.map(|child| child.wait_with_output().unwrap()) {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{variant}: {said}");
            assert_eq!(output.stdout, b"ok: 16384 elements, twice\n");
        }
        // It says what is wrong with a blob that is cut off.
        fs::write(&blob, &callable[..9000]).unwrap();
        let output = start(&program, &blob).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("code -1"), "{variant}: {said}");
    }
}

#[test]
fn calls_that_fail_while_the_process_ends_do_not_break_it_off() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("fails_at_exit");
    let source = repository().join("tests/data/c/fails_at_exit.c");
    compile("cc", "-std=c99", &[source.as_ref(), "-o".as_ref(), program.as_ref(), "-ldl".as_ref()]);
    for (variant, _) in CHIPS {
        let library = path(&format!("host_runtime_{variant}"));
        let output = Command::new(&program).arg(library).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"through\n");
    }
}

#[test]
fn libraries_of_both_chips_live_in_one_process_and_know_nothing_of_each_other() {
    let libraries = CHIPS.map(|(name, _)| HostLibrary::open(name));
    let clients = libraries.each_ref().map(HostLibrary::attach);
    assert_ne!(clients[0].context, clients[1].context);
    for (client, (_, platform)) in clients.iter().zip(CHIPS) {
        assert_eq!(client.prepare(3, &vector_add(platform)), 0, "{}", client.last_error());
    }
    for _ in 0..3 {
        for client in &clients {
            Floats::run_and_check(client, 3, GOLDEN);
        }
    }
    assert_eq!(clients.each_ref().map(|client| client.loads()), [(1, 0), (1, 0)]);
    // A context of one library is none of the other.
    type Count = unsafe extern "C" fn(*mut std::ffi::c_void) -> usize;
    // SAFETY: its type.
    let count: Count = unsafe { libraries[1].function("get_aicpu_dlopen_count") };
    // SAFETY: any handle may be given.
    assert_eq!(unsafe { count(clients[0].context) }, 0);
}

#[test]
fn contexts_of_one_library_run_at_once_and_have_ids_and_memory_of_their_own() {
    let library = HostLibrary::open("a2a3_trb");
    let blob = vector_add(CHIPS[0].1);
    let clients = [library.attach(), library.attach()];
    thread::scope(|scope| {
        for (client, rounds) in clients.iter().zip([5, 9]) {
            let blob = &blob;
            scope.spawn(move || {
                for _ in 0..rounds {
                    assert_eq!(client.prepare(0, blob), 0, "{}", client.last_error());
                    Floats::run_and_check(client, 0, GOLDEN);
                    assert_eq!(client.unregister(0), 0);
                }
            });
        }
    });
    assert_eq!(clients.each_ref().map(|client| client.loads().0), [5, 9]);
    let memory = clients[0].allocate(64);
    let mut bytes = [0u8; 64];
    let to = bytes.as_mut_ptr().cast();
    assert_eq!(clients[0].copy("copy_from_device_ctx", to, memory, 64), 0);
    assert_eq!(clients[1].copy("copy_from_device_ctx", to, memory, 64), -1);
}

/// Any thread may do anything (spec callable §7.3, R13).
#[test]
fn r13_threads_share_a_context_while_it_is_finalized_and_destroyed() {
    let library = HostLibrary::open("a2a3_trb");
    let blob = vector_add(CHIPS[0].1);
    for is_destroyed in [false, true] {
        let client = library.attach();
        thread::scope(|scope| {
            for cid in 0..4 {
                let (client, blob) = (&client, &blob);
                scope.spawn(move || {
                    // Either all of it works, or the device is gone and each call says so.
                    for _ in 0..20 {
                        let mut floats = Floats::new();
                        let record = floats.record();
                        let prepared = client.prepare(cid, blob);
                        let ran = client.run(cid, &record);
                        assert!(matches!((prepared, ran), (0 | -1, 0 | -1)), "{prepared} {ran}");
                        floats.check(if ran == 0 { GOLDEN } else { 0.0 });
                        assert!(matches!(client.unregister(cid), 0 | -1));
                        let memory = client.allocate(100);
                        client.free(memory);
                        client.memory_report();
                    }
                });
            }
            thread::sleep(std::time::Duration::from_millis(30));
            if is_destroyed {
                client.destroy();
            } else {
                assert_eq!(client.finalize(), 0);
            }
        });
        if !is_destroyed {
            assert_eq!(client.init(0), 0);
            assert_eq!(client.prepare(0, &blob), 0);
            Floats::run_and_check(&client, 0, GOLDEN);
        }
    }
}
