//! Bytes that lie: blobs, images and arguments whose numbers make no sense (spec callable §7.2). Each is
//! refused or harmless, and the worker works afterwards.

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::callable::Callable;
use host_runner::device::{DeviceError, DeviceUsage, MemoryError};
use host_runner::registry::build_id;
use host_runner::worker::Worker;
use protocol::{DataType, DeviceAddr};
use tests::prepared::{cells_after, on_both_chips, testimony, witness};
use tests::sources;
use tests::workers::{assert_works, open, threads};

/// Bytes of a blob before its parts (spec callable §1.8).
const HEADER: usize = 8596;

/// Numbers of the blob's header that are trusted where only a pointer is passed (spec callable §1.8).
const NUMBERS: [(usize, &str); 9] = [
    (256, "sig_count"),
    (260, "binary_size"),
    (328, "func_name_len"),
    (332, "a func id"),
    (4428, "the offset of a kernel"),
    (4432, "the offset of the next"),
    (8524, "child_count"),
    (8592, "config_name_len"),
    (HEADER - 4, "config_name_len, again"),
];

/// Parses a blob and, if it is one, registers it; whether either was refused.
fn is_refused(worker: &Worker, blob: Vec<u8>) -> bool {
    let Ok(callable) = Callable::from_blob(blob) else { return true };
    match worker.register(&callable) {
        Ok(handle) => {
            worker.unregister(&handle).unwrap();
            false
        }
        Err(_) => true,
    }
}

#[test]
fn s1_a_blob_is_read_within_its_length_and_every_number_in_it_is_checked() {
    on_both_chips(|worker, platform| {
        let blob = witness(platform.chip(), 1, "fill").blob().to_vec();
        let cuts = (0..HEADER + 200).chain((HEADER + 200..blob.len()).step_by(509));
        for cut in cuts {
            assert!(Callable::from_blob(blob[..cut].to_vec()).is_err(), "cut to {cut} bytes");
        }
        for (at, what) in NUMBERS {
            let mut refused = 0;
            for value in [i32::MIN, -1, 65, 1025, 0x00FF_FFFF, 0x7FFF_FFC0, i32::MAX] {
                let mut forged = blob.clone();
                forged[at..at + 4].copy_from_slice(&value.to_le_bytes());
                refused += u32::from(is_refused(worker, forged));
            }
            // A func id of 65, and an offset behind the last kernel, are as good as any other.
            let least = if matches!(at, 332 | 4432) { 0 } else { 6 };
            assert!(refused >= least, "{what}: {refused} of 7 are refused");
        }
        assert_eq!(worker.usage(), DeviceUsage::default());
        assert!(!is_refused(worker, blob));
    });
}

/// Every 64-bit number of the headers that an image starts with, replaced by ones that overflow where
/// something is added to them.
#[test]
fn s3_offsets_that_overflow_are_refused_or_harmless() {
    let worker = open();
    let image = sources::witness_for(protocol::ChipName::A2a3, 1);
    let kernel = || vec![sources::cell_kernels().swap_remove(0)];
    let headers = usize::from(u16::from_le_bytes([image[56], image[57]]));
    let tables = 64 + 56 * headers;
    let mut refused = 0;
    for at in (24..tables).step_by(8) {
        for value in [u64::MAX, u64::MAX - 63, 1 << 63, image.len() as u64, i64::MAX as u64] {
            let mut forged = image.clone();
            forged[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let _identity = protocol::build_id::find_build_id(&forged);
            let _label = build_id::read(&forged);
            let builder = Callable::builder(forged).name("forged").entry("first_entry");
            match worker.register(&sources::packed(builder, kernel())) {
                Ok(handle) => worker.unregister(&handle).unwrap(),
                Err(_) => refused += 1,
            }
            assert_eq!(worker.usage(), DeviceUsage::default());
        }
    }
    // Each loaded segment alone has five numbers that matter.
    assert!(refused > 100, "{refused} images were refused");
    assert_works(&worker, &threads(3));
}

/// A tensor of the caller's memory that claims a shape.
fn shaped(bytes: &[u8], dtype: DataType, shape: Vec<u32>) -> TensorArgument<'_> {
    TensorArgument { data: TensorData::In(bytes), dtype, shape }
}

#[test]
fn s7_arguments_that_make_no_sense_never_reach_the_device() {
    on_both_chips(|worker, platform| {
        let bytes = [0_u8; 64];
        let mut arguments = Arguments::new();
        for shape in [vec![1; 6], vec![u32::MAX; 5], vec![u32::MAX, u32::MAX, 2], vec![1 << 31; 4]]
        {
            let refused = arguments.push_tensor(shaped(&bytes, DataType::Float32, shape.clone()));
            assert!(refused.is_err(), "{shape:?}");
        }
        assert_eq!(arguments.tensors().len(), 0);
        // Element types beyond the last have no value here; as bytes they are refused.
        assert!((11..=u8::MAX).all(|raw| DataType::try_from(raw).is_err()));

        let handle = worker.register(&witness(platform.chip(), 1, "fill")).unwrap();
        assert_eq!(cells_after(worker, &handle)[0], testimony(1, 1));
        let ours = worker.allocate(128).unwrap();
        let inside = ours.checked_add(64).unwrap();
        let foreign = [DeviceAddr::new(0), DeviceAddr::new(8), DeviceAddr::new(u64::MAX), inside];
        let is_range = |end: Result<(), DeviceError>| {
            matches!(end, Err(DeviceError::Memory(MemoryError::OutOfRange { .. })))
        };
        for address in foreign {
            assert!(is_range(worker.copy_in(address, &[1; 65])), "{address:?}");
            assert!(is_range(worker.copy_out(&mut [1; 65], address)), "{address:?}");
            let freed = worker.free(address);
            let unknown =
                matches!(freed, Err(DeviceError::Memory(MemoryError::UnknownAddress { .. })));
            assert!(unknown, "{address:?}: {freed:?}");
        }
        // What belongs to callables is not the user's to free.
        let held = worker.usage().allocations;
        worker.free(ours).unwrap();
        assert!(worker.free(ours).is_err(), "once");
        assert_eq!(worker.usage().allocations, held - 1);
        assert_eq!(cells_after(worker, &handle)[0], testimony(1, 2));
    });
}
