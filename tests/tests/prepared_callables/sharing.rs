//! What callables share on a device, and what they do not: images and kernels by their bytes.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use host_runner::callable::Callable;
use host_runner::device::DeviceUsage;
use protocol::callable::parse::ChipCallableView;
use tests::child;
use tests::sources::{self, image_label};

use tests::prepared::{
    assert_47, cells_after, held, on_both_chips, testimony, vector_add, witness,
};

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does something on this thread, and returns what it logs there.
fn logged<T>(act: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let writer = {
        let log = log.clone();
        move || log.clone()
    };
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
    let result = tracing::subscriber::with_default(subscriber, || {
        // Where another test has met a place in the code without a listener, it counts as deaf.
        tracing::callsite::rebuild_interest_cache();
        act()
    });
    (result, log.text())
}

fn image_bytes(callable: &Callable) -> usize {
    ChipCallableView::parse(callable.blob()).unwrap().orchestration().len()
}

/// In a process of its own: a test beside it that has no log would keep the warning out of this one's.
#[test]
fn h6_two_images_of_one_build_id_run_their_own_code_and_the_log_warns() {
    child::alone(
        "sharing::h6_two_images_of_one_build_id_run_their_own_code_and_the_log_warns",
        two_images_of_one_build_id,
    );
}

fn two_images_of_one_build_id() {
    on_both_chips(|worker, platform| {
        let callables = [1, 2].map(|number| witness(platform.chip(), number, "fill"));
        let labels = callables.each_ref().map(|it| image_label(it.blob()));
        assert_eq!(labels[0], labels[1], "the test is about one Build-ID");
        assert!(labels[0].contains("(build-id "), "{labels:?}");
        let build_id = labels[0].trim_start_matches("(build-id ").trim_end_matches(')');
        assert_eq!(image_bytes(&callables[0]), image_bytes(&callables[1]));

        let (first, log) = logged(|| worker.register(&callables[0]).unwrap());
        assert!(!log.contains("same Build-ID"), "{log}");
        let (second, log) = logged(|| worker.register(&callables[1]).unwrap());
        let warns = |line: &str| {
            line.contains("WARN") && line.contains("same Build-ID") && line.contains(build_id)
        };
        assert!(log.lines().any(warns), "{log}");

        assert_eq!(held(worker, "orchestrations").0, 2);
        for run in 1..4 {
            assert_eq!(cells_after(worker, &first)[0], testimony(1, run));
            assert_eq!(cells_after(worker, &second)[0], testimony(2, run));
        }
        worker.unregister(&first).unwrap();
        assert_eq!(cells_after(worker, &second)[0], testimony(2, 4));
    });
}

/// The second part of the hole: an image that is longer than the one whose Build-ID it bears.
#[test]
fn h6_an_image_that_goes_on_behind_another_one_is_an_image_of_its_own() {
    on_both_chips(|worker, platform| {
        let short = sources::witness_for(platform.chip(), 3);
        let mut long = sources::witness_for(platform.chip(), 4);
        long.extend([0x5A; 4096]);
        let kernel = || vec![sources::cell_kernels_for(platform.chip()).swap_remove(0)];
        let [short, long] = [short, long].map(|image| {
            let builder = Callable::builder(image).name("witness").entry("first_entry");
            sources::packed(builder, kernel())
        });
        let handles = [&short, &long].map(|each| worker.register(each).unwrap());
        let bytes = image_bytes(&short) + image_bytes(&long);
        assert_eq!(held(worker, "orchestrations"), (2, bytes));
        assert_eq!(cells_after(worker, &handles[0])[0], testimony(3, 1));
        assert_eq!(cells_after(worker, &handles[1])[0], testimony(4, 1));
    });
}

#[test]
fn equal_bytes_under_two_ids_are_one_buffer_until_the_last_of_them_goes() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let first = worker.register(&callable).unwrap();
        let alone = (worker.usage(), held(worker, "orchestrations"), held(worker, "kernels"));
        assert_eq!((alone.1, alone.2.0), ((1, image_bytes(&callable)), 3));
        let uploaded = worker.counters().bytes_uploaded;
        // Equal bytes, not the same ones.
        let copy = Callable::from_blob(callable.blob().to_vec()).unwrap();
        let second = worker.register(&copy).unwrap();
        let shared = (worker.usage(), held(worker, "orchestrations"), held(worker, "kernels"));
        assert_eq!(shared, alone);
        let counters = worker.counters();
        assert_eq!((counters.bytes_uploaded, counters.hits), (uploaded, 4));

        assert_47(worker, &first);
        assert_47(worker, &second);
        worker.unregister(&first).unwrap();
        let left = (held(worker, "orchestrations"), held(worker, "kernels"));
        assert_eq!(left, (alone.1, alone.2));
        assert_47(worker, &second);
        worker.unregister(&second).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
        assert_eq!((held(worker, "orchestrations"), held(worker, "kernels")), ((0, 0), (0, 0)));
    });
}

/// Each load of an image has data of its own, also where the image is shared on the device.
#[test]
fn two_ids_of_one_image_count_their_own_runs() {
    on_both_chips(|worker, platform| {
        let callable = witness(platform.chip(), 5, "fill");
        let handles = [(); 2].map(|()| worker.register(&callable).unwrap());
        for (handle, run) in [(0, 1), (0, 2), (1, 1), (0, 3), (1, 2)] {
            assert_eq!(cells_after(worker, &handles[handle])[0], testimony(5, run));
        }
    });
}

#[test]
fn h3_two_callables_with_other_kernels_under_one_func_id_run_interleaved() {
    on_both_chips(|worker, platform| {
        // The same orchestration; func id 0 fills upwards in one of them and downwards in the other.
        let [up, down] = ["fill", "fill_down"].map(|kernel| witness(platform.chip(), 6, kernel));
        let handles = [&up, &down].map(|each| worker.register(each).unwrap());
        assert_eq!((held(worker, "orchestrations").0, held(worker, "kernels").0), (1, 2));
        let expected = |run: u64, downwards: bool| -> Vec<u64> {
            let first = testimony(6, run);
            (0..3).map(|i| if downwards { first - i } else { first + i }).collect()
        };
        for run in 1..4 {
            assert_eq!(cells_after(worker, &handles[0]), expected(run, false));
            assert_eq!(cells_after(worker, &handles[1]), expected(run, true));
        }
        // A registration of yet another kernel under the func id that is refused, too.
        let refused = worker.register_as(handles[0].id(), &down);
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(cells_after(worker, &handles[0]), expected(4, false));
        worker.unregister(&handles[0]).unwrap();
        assert_eq!(held(worker, "kernels").0, 1, "the kernel that nobody needs is gone");
        assert_eq!(cells_after(worker, &handles[1]), expected(4, true));
    });
}
