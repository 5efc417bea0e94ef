//! What is said where something is missing.

use host_runner::device::DeviceError;
use host_runner::device::cann::CannError;
use host_runner::device::cann::libraries::{LibraryError, VendorLibrary};
use host_runner::worker::{PlatformName, Worker, WorkerConfig, WorkerError};
use tests::c_library;

use super::mock::{alone, home_with};

/// Why a worker does not open.
#[track_caller]
fn refused(config: WorkerConfig) -> CannError {
    match Worker::open(config) {
        Err(WorkerError::Device(DeviceError::Cann(error))) => error,
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn without_the_vendors_libraries_the_first_one_is_named_with_what_to_do() {
    for &chip in PlatformName::CHIPS {
        let error = refused(WorkerConfig::new(chip));
        let CannError::Library(LibraryError::NotFound { library, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(*library, VendorLibrary::Acl);
        for part in ["libascendcl.so", "ASCEND_HOME_PATH", "a2a3sim"] {
            assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
        }
    }
}

#[test]
fn a_library_without_a_function_is_named_with_it() {
    let other = c_library::path("simpler_log");
    let home = home_with(&other);
    let mut config = WorkerConfig::new(PlatformName::A5);
    config.cann.home = Some(home.path().to_owned());
    let error = refused(config);
    let CannError::Library(LibraryError::NoSymbol { symbol, path, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*symbol, "aclInit");
    assert!(path.starts_with(home.path()), "{}", path.display());
}

#[test]
fn without_the_programs_nothing_is_done_to_the_device() {
    alone(
        "missing::without_the_programs_nothing_is_done_to_the_device",
        PlatformName::A2a3,
        |mock| {
            let mut config = mock.config();
            let empty = tempfile::tempdir().unwrap();
            config.cann.aicpu_images = Some(empty.path().to_owned());
            let text = refused(config).to_string();
            assert!(
                text.contains("cargo xtask build-aicpu") && text.contains("libaicpu.so"),
                "{text}"
            );
            assert_eq!((mock.calls("aclInit"), mock.live()), (0, 0));
        },
    );
}
