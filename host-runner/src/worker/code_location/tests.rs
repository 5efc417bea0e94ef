//! Addresses that an orchestration tells of itself, looked up while it is loaded.

use std::fs;

use crate::arguments::Arguments;
use crate::callable::Callable;
use crate::run::RunConfig;
use crate::test_callables::{orchestration, store_kernel};
use crate::worker::{CodeListing, Worker, WorkerConfig};

/// Stores the address of its entry, and of a static function, as two halves each.
const TELLS: &str = "\
    uint64_t found[2] = {(uint64_t)&aicpu_orchestration_entry, (uint64_t)&store}; \
    for (int half = 0; half < 4; ++half) \
        store(0, args.tensors[0].data + 4 * half, found[half / 2] >> 32 * (half % 2) & 0xffffffff);";

/// A callable that tells where it is.
fn telling() -> Callable {
    Callable::builder(orchestration(TELLS))
        .name("tell_tale")
        .kernel(store_kernel(0, 0))
        .build()
        .expect("the parts fit together")
}

/// Runs it; returns the addresses of entry and static function.
fn addresses(worker: &Worker, handle: &crate::worker::CallableHandle) -> [u64; 2] {
    let mut halves = [0_i32; 4];
    let mut arguments = Arguments::new();
    arguments.push_output(&mut halves, &[4]).expect("a valid output");
    worker.run(handle, &mut arguments, &RunConfig::default()).expect("the run succeeds");
    let word = |low: i32, high: i32| {
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    };
    [word(halves[0], halves[1]), word(halves[2], halves[3])]
}

#[test]
fn an_address_is_named_by_callable_build_id_and_function_as_long_as_the_code_is_loaded() {
    let worker = Worker::open(WorkerConfig::default()).unwrap();
    let other = worker.register(&telling()).unwrap();
    let handle = worker.register(&telling()).unwrap();
    let [other_entry, _] = addresses(&worker, &other);
    let [entry, store] = addresses(&worker, &handle);
    let at = |address| worker.symbolise(address).map(|place| place.to_string());
    // What the linker noted is found by another parser.
    let image = orchestration(TELLS);
    let elf = goblin::elf::Elf::parse(&image).unwrap();
    let notes = elf.iter_note_headers(&image).unwrap().map(Result::unwrap);
    let id = notes.filter(|note| note.n_type == 3 && note.name == "GNU").last().unwrap();
    let id: String = id.desc.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(id.len(), 40);
    let named = |callable: u32, place: &str| {
        Some(format!("callable {callable} \"tell_tale\" (build-id {id}) {place}"))
    };
    assert_eq!(at(entry + 3), named(1, "aicpu_orchestration_entry+0x3"));
    assert_eq!(at(other_entry), named(0, "aicpu_orchestration_entry+0x0"));
    assert_eq!(at(store), named(1, "_ZL5storeimm+0x0"));
    // Inside the image, but no code: the address as linked.
    let header = worker.symbolise((entry & !0xfff) - 0x1000).unwrap();
    assert_eq!((header.callable, header.symbol), (handle.id(), None));
    let ours = telling as *const () as u64;
    for nowhere in [0, 0x1000, u64::MAX, ours] {
        assert_eq!(at(nowhere), None, "{nowhere:#x}");
    }
    worker.unregister(&handle).unwrap();
    assert_eq!(at(entry), None);
    assert_eq!(at(other_entry), named(0, "aicpu_orchestration_entry+0x0"));
}

#[test]
fn a_run_writes_the_functions_it_loads_into_the_map_for_perf() {
    let folder = tempfile::tempdir().unwrap();
    let listing = CodeListing { gdb: true, perf_map: Some(folder.path().to_owned()) };
    let worker = Worker::open(WorkerConfig::default().with_code_listing(listing)).unwrap();
    let handle = worker.register(&telling()).unwrap();
    let [entry, store] = addresses(&worker, &handle);
    let again = addresses(&worker, &handle);
    assert_eq!(again, [entry, store]);
    let path = folder.path().join(format!("perf-{}.map", std::process::id()));
    let text = fs::read_to_string(path).unwrap();
    for (address, name) in [(entry, "aicpu_orchestration_entry"), (store, "_ZL5storeimm")] {
        let lines: Vec<_> = text.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "loaded once, listed once: {text}");
        assert!(lines[0].starts_with(&format!("{address:x} ")), "{address:x}: {}", lines[0]);
        assert!(lines[0].ends_with(&format!(" {name} [tell_tale]")), "{}", lines[0]);
    }
    // Breakpoints need private memory, and perf reads its map for memory without a file only.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let holds = |line: &&str| {
        let (start, rest) = line.split_once('-').unwrap();
        let [start, end] = [start, rest.split(' ').next().unwrap()]
            .map(|digits| u64::from_str_radix(digits, 16).unwrap());
        (start..end).contains(&entry)
    };
    let fields: Vec<_> = maps.lines().find(holds).unwrap().split_whitespace().collect();
    assert_eq!((fields[1], &fields[4..]), ("r-xp", &["0"][..]), "{fields:?}");
    let listed = || worker.shared.lister.as_ref().map(|lister| lister.listed_for_gdb());
    assert_eq!(listed(), Some(1));
    worker.unregister(&handle).unwrap();
    assert_eq!(listed(), Some(0), "off the list before it goes");
}
