//! Communicators between processes (spec hbg B9; callable §2, §7.3 R9).

use std::ffi::{CString, c_int};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::ptr;

use host_runner::callable::Callable;
use host_runner::worker::PlatformName;
use protocol::{CoreType, DataType};
use tests::c_library::{Client, Communicator, HostLibrary, arguments, tensor};
use tests::flag::Flag;
use tests::{child, sources};

use crate::setting::{CHIPS, held};

const RANKS: c_int = 3;
/// Cells that each rank gives to each rank.
const COUNT: usize = 32;
/// A signal, and two sets of slots.
const WINDOW: usize = 64 + 2 * RANKS as usize * COUNT * 8;

/// Entries of `ranks.cpp`, by the id under which they are prepared.
const ENTRIES: [&str; 4] = ["fill_tensor", "describe_rank", "exchange", "wait_and_mark"];

fn blob(platform: PlatformName, entry: &str) -> Vec<u8> {
    let chip = platform.chip();
    let kernels = [(0, "fill"), (7, "exchange"), (8, "describe_rank"), (9, "wait_and_mark")]
        .map(|(id, name)| sources::kernel_for(chip, id, CoreType::Aiv, name));
    let builder = Callable::builder(sources::orchestration_for(chip, "ranks")).entry(entry);
    sources::packed(builder, kernels.to_vec()).blob().to_vec()
}

/// Runs a callable with one host tensor of `count` cells, and gives those back.
#[track_caller]
fn run(client: &Client<'_>, cid: i32, count: usize, scalars: &[u64]) -> Vec<u64> {
    let mut cells = vec![u64::MAX; count];
    let record = arguments(&[tensor(DataType::Uint64, &mut cells)], scalars);
    assert_eq!(client.run(cid, &record), 0, "{}", client.last_error());
    cells
}

#[track_caller]
fn number(comm: &Communicator<'_>, name: &str) -> u64 {
    let mut number = 0;
    assert_eq!(comm.get(name, &raw mut number), 0, "{}", comm.last_error());
    number
}

/// What each process does: its kernels write its own window and read those of its peers.
fn be_a_rank(variant: &str, rank: c_int, folder: &Path) {
    let library = HostLibrary::open(variant);
    // One context before the windows are there, one after.
    let early = library.attach();
    let path = CString::new(folder.join("rootinfo").to_str().unwrap()).unwrap();
    let comm = Communicator::init(&library, rank, RANKS, &path);
    assert!(!comm.comm.is_null(), "{}", comm.last_error());
    let mut context = 0;
    assert_eq!(comm.allocate(WINDOW, &raw mut context), 0, "{}", comm.last_error());
    let late = library.attach();
    let base = number(&comm, "comm_get_local_window_base");
    assert_eq!(number(&comm, "comm_get_window_size"), WINDOW as u64);

    let own = 100 * (rank as u64 + 1);
    for client in [&early, &late] {
        for (cid, entry) in (0..).zip(ENTRIES) {
            let blob = fs::read(folder.join(entry)).unwrap();
            assert_eq!(client.prepare(cid, &blob), 0, "{}", client.last_error());
        }
        let mut window = tensor(DataType::Uint64, &mut [0_u64; 4]);
        (window.data, window.child_memory) = (base, 1);
        assert_eq!(client.run(0, &arguments(&[window], &[own])), 0, "{}", client.last_error());
        assert_eq!(comm.barrier(), 0);
        let cells = run(client, 1, 5 + 2 * RANKS as usize, &[context]);
        assert_eq!(cells[..5], [rank as u64, RANKS as u64, WINDOW as u64, 16384, 0]);
        assert_eq!(cells[5..], [100, 100, 200, 200, 300, 300], "the windows of all ranks");
        window.data = base + WINDOW as u64 - 8;
        assert_eq!(client.run(0, &arguments(&[window], &[own])), -1, "beyond the window");
        assert_eq!(comm.barrier(), 0);
    }
    let bytes = [0_u8; 64];
    let to = ptr::with_exposed_provenance_mut(base as usize);
    assert_eq!(late.copy("copy_to_device_ctx", to, bytes.as_ptr().cast(), 64), 0);
    assert_eq!(comm.barrier(), 0);
    // Kernels of the processes signal one another.
    for round in 1..=4 {
        let sums = run(&early, 2, COUNT, &[context, own * round, round]);
        let sum = |cell: u64| 600 * round + RANKS as u64 * cell;
        assert!(sums.iter().copied().eq((0..COUNT as u64).map(sum)), "{rank}: {sums:?}");
    }
    let has_windows = |client| held(client).iter().any(|(name, ..)| name.contains("window"));
    assert!(has_windows(&early) && has_windows(&late));
    assert_eq!(comm.destroy(), 0, "{}", comm.last_error());
    assert!(!has_windows(&early) && !has_windows(&late), "contexts have let go of them");
    let mut byte = 0_u8;
    assert_eq!(late.copy("copy_from_device_ctx", (&raw mut byte).cast(), to, 1), -1);
    assert_eq!(comm.destroy(), -1);
    assert!(!fs::read_to_string("/proc/self/maps").unwrap().contains("simpler-rs-"));
}

const PROCESSES: &str = "communicators::processes_reach_one_anothers_windows_and_leave_nothing";
/// Variant, rank and folder of a child.
const PART: [&str; 3] = ["TESTS_VARIANT", "TESTS_RANK", "TESTS_FOLDER"];

#[test]
fn processes_reach_one_anothers_windows_and_leave_nothing() {
    if child::is_child(PROCESSES) {
        let [variant, rank, folder] = PART.map(|name| std::env::var(name).unwrap());
        return be_a_rank(&variant, rank.parse().unwrap(), folder.as_ref());
    }
    for (variant, platform) in CHIPS {
        let folder = tempfile::tempdir().unwrap();
        for entry in ENTRIES {
            fs::write(folder.path().join(entry), blob(platform, entry)).unwrap();
        }
        let start = |rank: c_int| {
            let mut command = child::command(PROCESSES);
            command.env(PART[0], variant).env(PART[1], rank.to_string());
            command.env(PART[2], folder.path()).stdin(Stdio::null()).spawn().unwrap()
        };
        let processes: Vec<_> = (0..RANKS).map(start).collect();
        for process in processes {
            child::passed(PROCESSES, process.wait_with_output().unwrap());
        }
    }
    assert_eq!(left_by_children(), [""; 0]);
}

/// Files of communicators of this process's children.
fn left_by_children() -> Vec<String> {
    let parent = format!("-{:08x}-", std::process::id());
    let files = fs::read_dir("/dev/shm").unwrap().map(|file| file.unwrap().file_name());
    let names = files.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("simpler-rs-") && name.contains(&parent)).collect()
}

#[track_caller]
fn assert_refused(comm: &Communicator<'_>, code: c_int, part: &str) {
    let text = comm.last_error();
    assert_eq!(code, -1, "{text}");
    assert!(text.contains(part), "{part:?} is missing in: {text}");
}

/// What took the place of a lost device has the windows again, and what still runs on the lost one keeps
/// them when the communicator has gone.
#[test]
fn windows_outlive_a_lost_device_on_both_sides() {
    let (variant, platform) = CHIPS[0];
    let library = HostLibrary::open(variant);
    let client = library.attach();
    let key = CString::new(format!("lost {}", std::process::id())).unwrap();
    let comm = Communicator::init(&library, 0, 1, &key);
    let mut context = 0;
    assert_eq!(comm.allocate(64, &raw mut context), 0, "{}", comm.last_error());
    for (cid, entry) in (0..).zip(ENTRIES) {
        assert_eq!(client.prepare(cid, &blob(platform, entry)), 0, "{}", client.last_error());
    }
    let (flag, mut cells) = (Flag::new(), [0]);
    let record = arguments(&[tensor(DataType::Uint64, &mut cells)], &[context, flag.address()]);
    assert_eq!(client.set_run_limits([300, 0, 100]), 0);
    assert_eq!(client.run(3, &record), -100, "{}", client.last_error());
    assert_eq!(client.counters()[3], 1);
    assert_eq!(client.set_run_limits([0, 0, 0]), 0);
    let mut window = tensor(DataType::Uint64, &mut [0_u64; 4]);
    (window.data, window.child_memory) = (number(&comm, "comm_get_local_window_base"), 1);
    let record = arguments(&[window], &[40]);
    assert_eq!(client.run(0, &record), 0, "{}", client.last_error());
    assert_eq!(run(&client, 1, 7, &[context])[5..], [40, 40]);
    assert_eq!(comm.destroy(), 0, "{}", comm.last_error());
    assert_eq!(client.run(0, &record), -1, "the window has gone");
    // It writes to the window now, which must still be there.
    flag.set();
    while flag.get() != 2 {
        std::thread::yield_now();
    }
}

/// In every library, without any context.
#[test]
fn r9_wrong_use_of_communicators_is_an_error_with_a_text() {
    for variant in tests::c_library::VARIANTS {
        let library = HostLibrary::open(variant);
        let key = CString::new(format!("wrong use {variant} {}", std::process::id())).unwrap();
        let init = |rank, ranks| Communicator::init(&library, rank, ranks, &key);
        let refused = |comm: Communicator<'_>, part: &str| {
            assert!(comm.comm.is_null());
            assert!(comm.last_error().contains(part), "{part:?}: {}", comm.last_error());
        };
        refused(init(0, 0), "0 ranks");
        refused(init(0, 65), "65 ranks");
        refused(init(2, 2), "no rank 2");
        refused(init(-1, 2), "rank is -1");
        refused(init(0, -2), "nranks is -2");
        refused(Communicator::init_at(&library, 0, 1, ptr::null()), "rootinfo_path is NULL");
        let wild = ptr::without_provenance(0x10);
        refused(Communicator::init_at(&library, 0, 1, wild), "rootinfo_path");
        let long = CString::new(vec![b'x'; 4096]).unwrap();
        refused(Communicator::init(&library, 0, 1, &long), "4096 bytes");

        let comm = init(0, 1);
        assert!(!comm.comm.is_null(), "{}", comm.last_error());
        refused(init(0, 1), "rank 0 is taken");
        refused(init(0, 2), "communicator of 1");
        let mut out = 7;
        let getters = ["comm_get_local_window_base", "comm_get_window_size"];
        for name in getters {
            assert_refused(&comm, comm.get(name, &raw mut out), "comm_alloc_windows first");
        }
        assert_refused(&comm, comm.barrier(), "no windows yet");
        assert_refused(&comm, comm.allocate(0, &raw mut out), "0 bytes");
        assert_refused(&comm, comm.allocate(usize::MAX, &raw mut out), "no memory");
        assert_refused(&comm, comm.allocate(8, ptr::null_mut()), "the result is NULL");
        assert_refused(&comm, comm.allocate(8, ptr::without_provenance_mut(16)), "the result");
        assert_eq!((out, comm.allocate(8, &raw mut out)), (7, 0));
        assert_refused(&comm, comm.allocate(8, &raw mut out), "there already");
        for name in getters {
            assert_refused(&comm, comm.get(name, ptr::null_mut()), "the result is NULL");
        }
        assert_eq!((comm.barrier(), comm.destroy()), (0, 0));
        assert_refused(&comm, comm.barrier(), "was destroyed");
        // One that never had windows can be given up, and its rank is free again.
        let comm = init(0, 2);
        assert_eq!(comm.destroy(), 0, "{}", comm.last_error());
        let comm = init(0, 1);
        assert!(!comm.comm.is_null(), "{}", comm.last_error());
        assert_eq!(comm.destroy(), 0);
    }
}
