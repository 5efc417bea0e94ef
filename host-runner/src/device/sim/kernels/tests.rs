//! Loading good and bad kernels, sharing, and giving everything back.

use super::*;
use crate::device::image::{ImageError, NATIVE_MACHINE};
use crate::device::sim::test_objects::{core_callable, cxx_bytes};

/// A kernel that returns through its first argument which one it is.
fn kernel_source(number: u32) -> String {
    format!(
        "extern \"C\" void kernel_entry(long *args) {{ *reinterpret_cast<long *>(args[0]) = \
         {number}; }}"
    )
}

fn load(
    kernels: &Kernels,
    memory: &DeviceMemory,
    binary: &[u8],
) -> Result<DeviceAddr, KernelError> {
    let blob = core_callable(binary);
    kernels.load(&CoreCallableView::parse(&blob).unwrap(), memory).map(|uploaded| uploaded.address)
}

/// Takes the place of a kernel that nobody has loaded.
fn claim<'k>(kernels: &'k Kernels, binary: &[u8]) -> Claim<'k> {
    match kernels.claim(&with_entry(&core_callable(binary), 0)) {
        Ok(Claimed::Place(claim)) => claim,
        _ => panic!("it is loaded, or being loaded"),
    }
}

/// Calls the kernel of a record as a core would.
fn call(memory: &DeviceMemory, record: DeviceAddr) -> u64 {
    let mut entry = [0; 8];
    let field = record.checked_add(offset_of!(CoreCallable, resolved_addr) as u64).unwrap();
    memory.copy_out(&mut entry, field).unwrap();
    let entry = core::ptr::with_exposed_provenance::<()>(usize::from_ne_bytes(entry));
    // SAFETY: the entry of a kernel with this signature.
    let entry =
        unsafe { core::mem::transmute::<*const (), unsafe extern "C" fn(*const u64)>(entry) };
    let mut result = 0_u64;
    let args = [(&raw mut result).expose_provenance() as u64];
    // SAFETY: the kernel writes where its first argument points.
    unsafe { entry(args.as_ptr()) };
    // SAFETY: a live local that the kernel wrote.
    unsafe { (&raw const result).read_volatile() }
}

#[test]
fn equal_bytes_are_loaded_once_and_unloaded_with_the_last_reference() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let binary = cxx_bytes("one", &kernel_source(1));
    let first = load(&kernels, &memory, &binary).unwrap();
    let second = load(&kernels, &memory, &binary).unwrap();
    assert_eq!((first, kernels.count(), memory.usage().0), (second, 1, 1));
    kernels.unload(first, &memory).unwrap();
    assert_eq!(call(&memory, first), 1);
    kernels.unload(first, &memory).unwrap();
    assert_eq!((kernels.count(), memory.usage().0), (0, 0));
    let gone = kernels.unload(first, &memory);
    assert!(matches!(gone, Err(KernelError::Unknown { address }) if address == first));
}

#[test]
fn different_kernels_stay_apart() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let records: Vec<DeviceAddr> = (0..3)
        .map(|number| cxx_bytes("kernel", &kernel_source(number)))
        .map(|binary| load(&kernels, &memory, &binary).unwrap())
        .collect();
    let results: Vec<u64> = records.iter().map(|&record| call(&memory, record)).collect();
    assert_eq!(results, [0, 1, 2]);
}

#[test]
fn what_a_sender_claims_as_entry_is_not_believed() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let binary = cxx_bytes("claim", &kernel_source(5));
    let mut blob = core_callable(&binary);
    blob[72..80].copy_from_slice(&0xDEAD_BEEF_u64.to_ne_bytes());
    let claimed = kernels.load(&CoreCallableView::parse(&blob).unwrap(), &memory).unwrap().address;
    assert_eq!(call(&memory, claimed), 5);
    assert_eq!(load(&kernels, &memory, &binary).unwrap(), claimed);
}

#[test]
fn bad_kernels_are_typed_errors_and_leave_nothing() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let good = cxx_bytes("good", &kernel_source(1));
    let mut other_machine = good.clone();
    other_machine[18] = 40;
    let no_entry = cxx_bytes("no_entry", "extern \"C\" void kernel_entri(long *) {}");
    let check = |binary: &[u8], expected: &ImageError| {
        match load(&kernels, &memory, binary) {
            Err(KernelError::Image(error)) => assert_eq!(&error, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!((kernels.count(), memory.usage().0), (0, 0));
    };
    check(b"nothing", &ImageError::NotElf { found: b"noth".to_vec() });
    check(&other_machine, &ImageError::WrongMachine { found: 40, want: NATIVE_MACHINE });
    check(&no_entry, &ImageError::MissingSymbol { symbol: "kernel_entry".to_owned() });

    let unresolved = "extern \"C\" void nowhere(); extern \"C\" void kernel_entry(long *) \
                      { nowhere(); }";
    let unresolved = cxx_bytes("unresolved", unresolved);
    let refused = load(&kernels, &memory, &unresolved);
    assert!(matches!(refused, Err(KernelError::Loader { .. })));
    assert_eq!((kernels.count(), memory.usage().0), (0, 0));
}

#[test]
fn a_kernel_that_wants_the_hooks_gets_them() {
    let source = r#"
        static unsigned (*sub_block)();
        extern "C" void pto_sim_register_hooks(void *first, void *) {
            sub_block = reinterpret_cast<unsigned (*)()>(first);
        }
        extern "C" void kernel_entry(long *args) {
            *reinterpret_cast<long *>(args[0]) = sub_block() + 10;
        }"#;
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let record = load(&kernels, &memory, &cxx_bytes("hooks", source)).unwrap();
    let identity = kernel_hooks::CoreIdentity {
        kind: protocol::CoreType::Aiv,
        index: 1,
        cluster: 0,
        sub_block: 1,
    };
    assert_eq!(kernel_hooks::with_identity(identity, || call(&memory, record)), 11);
}

#[test]
fn threads_that_load_the_same_bytes_at_once_share_one_library() {
    const THREADS: usize = 4;
    // Its constructor takes its time, so that all the others come meanwhile.
    let slow = "#include <time.h>\n\
        static int rest() { timespec pause{0, 50000000}; return nanosleep(&pause, nullptr); }\n\
        static int rested = rest();\n\
        extern \"C\" void kernel_entry(long *args) { \
            *reinterpret_cast<long *>(args[0]) = 6 + rested; }";
    let binary = cxx_bytes("slow", slow);
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let barrier = std::sync::Barrier::new(THREADS);
    let records: Vec<DeviceAddr> = std::thread::scope(|scope| {
        let load = |_| {
            scope.spawn(|| {
                barrier.wait();
                load(&kernels, &memory, &binary).unwrap()
            })
        };
        let threads: Vec<_> = (0..THREADS).map(load).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(records, [records[0]; THREADS]);
    assert_eq!((kernels.count(), memory.usage().0), (1, 1));
    for _ in 1..THREADS {
        kernels.unload(records[0], &memory).unwrap();
        assert_eq!(call(&memory, records[0]), 6);
    }
    kernels.unload(records[0], &memory).unwrap();
    assert_eq!((kernels.count(), memory.usage()), (0, (0, 0)));
}

#[test]
fn who_waits_for_a_load_that_fails_tries_for_itself() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let binary = cxx_bytes("one", &kernel_source(1));
    let claim = claim(&kernels, &binary);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| load(&kernels, &memory, &binary).unwrap());
        // Another kernel does not wait.
        let other = cxx_bytes("two", &kernel_source(2));
        let other = load(&kernels, &memory, &other).unwrap();
        assert_eq!((call(&memory, other), kernels.count()), (2, 1));
        assert!(!waiter.is_finished());
        drop(claim);
        assert_eq!(call(&memory, waiter.join().unwrap()), 1);
    });
    assert_eq!(kernels.count(), 2);
}

#[test]
fn a_loss_ends_loads_that_are_under_way_and_those_who_wait_for_them() {
    let (kernels, memory) = (Kernels::default(), DeviceMemory::default());
    let binary = cxx_bytes("one", &kernel_source(1));
    let claim = claim(&kernels, &binary);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| load(&kernels, &memory, &binary));
        std::thread::sleep(std::time::Duration::from_millis(20));
        kernels.lose();
        assert!(matches!(waiter.join().unwrap(), Err(KernelError::Gone)));
    });
    // SAFETY: compiled from the lines above.
    let (library, file) = unsafe { anonymous_library::open("one", &binary) }.unwrap();
    let late = claim.publish(library, file, DeviceAddr::new(64));
    assert!(matches!(late, Err(KernelError::Gone)));
    assert!(matches!(load(&kernels, &memory, &binary), Err(KernelError::Gone)));
    assert!(matches!(kernels.unload(DeviceAddr::new(64), &memory), Err(KernelError::Gone)));
}
