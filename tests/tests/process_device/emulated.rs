//! The same drills on a device of the other machine, under an emulator.

use std::time::{Duration, Instant};

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::compile::{self, CodeKind};
use host_runner::device::process::ProcessSettings;
use host_runner::device::{CrashedIn, LostCause};
use host_runner::worker::{PlatformName, Worker, WorkerConfig};
use protocol::{ChipName, CoreType};
use stand_in::{Machine, NotHere};
use tests::child;
use tests::firmware_host::image;
use tests::sources::{kernel_of, packed};
use tests::workers::{SENTINEL, fork_join, threads};

use crate::setting::*;

/// An emulator takes its time.
const LIMIT: Duration = Duration::from_secs(60);

fn open() -> Result<Worker, NotHere> {
    let program = Some(Machine::Emulated.device_program()?);
    let machine = compile::Machine::Aarch64;
    let settings = ProcessSettings { program, ..ProcessSettings::for_machine(machine) };
    let config = WorkerConfig::new(PlatformName::A2a3Proc).with_process(settings);
    Ok(Worker::open(config).expect("the program of the device starts"))
}

fn callable(source: &str, entry: &str) -> Callable {
    let image = |kind, source: &str| image(Machine::Emulated, ChipName::A2a3, kind, source);
    let kernels = [(0, "fill"), (1, "add"), (2, "append"), (3, "weigh"), (6, "crash")];
    let kernels = kernels.map(|(func_id, name)| {
        let kind = CodeKind::Kernel(CoreType::Aiv);
        kernel_of(func_id, CoreType::Aiv, name, image(kind, &format!("kernels/{name}.cpp")))
    });
    let code = image(CodeKind::Orchestration, &format!("orchestrations/{source}.cpp"));
    packed(Callable::builder(code).name(entry).entry(entry), kernels.to_vec())
}

#[test]
fn crashes_and_hangs_on_the_other_machine_are_errors_and_the_next_run_works() {
    let test = "emulated::crashes_and_hangs_on_the_other_machine_are_errors_and_the_next_run_works";
    if let Err(NotHere(missing)) = Machine::Emulated.device_program() {
        return println!("skipped: {missing}");
    }
    child::alone(test, || {
        let worker = open().expect("it was there before");
        let entry = worker.register(&callable("crashes", "crashes")).unwrap();
        let kernel = worker.register(&callable("crashes", "kernel_crashes")).unwrap();
        for (handle, good) in [(&entry, 7), (&kernel, 8)] {
            for (way, signal, function) in
                [(CALL_NULL, libc_signal::SEGV, "call"), (ABORT, libc_signal::ABRT, "give_up")]
            {
                let start = Instant::now();
                let lost = lost(run(&worker, handle, way, &threads(3)));
                assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
                let crash = crash(&lost);
                assert_eq!(crash.signal, signal, "{lost}");
                let is_kernel = matches!(crash.inside, CrashedIn::Kernel { .. });
                assert_eq!(is_kernel, good == 8, "{lost}");
                assert!(names(crash).iter().any(|name| name.contains(function)), "{lost}");
                assert_eq!(run(&worker, handle, SOUND, &threads(3)).unwrap(), good);
            }
            let start = Instant::now();
            let lost = lost(run(&worker, handle, ENDLESS, &short()));
            assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
            assert!(
                matches!(lost.cause, LostCause::Orchestration | LostCause::Kernel { .. }),
                "{lost}"
            );
            assert_eq!(run(&worker, handle, SOUND, &threads(3)).unwrap(), good);
        }
        kill_idle();
        assert_eq!(run(&worker, &entry, SOUND, &threads(2)).unwrap(), 7);
    });
}

/// An emulator that keeps its translation of the code that was there before runs that.
#[test]
fn an_id_is_given_to_other_code_on_the_other_machine() {
    let Ok(worker) = open() else { return println!("skipped: see the other test") };
    let input: Vec<u64> = (0..16).collect();
    for first in 0..3 {
        let handle = worker.register(&callable("crashes", "crashes")).unwrap();
        assert_eq!(handle.id().index(), 0, "the id is free again");
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
        worker.unregister(&handle).unwrap();
        let handle = worker.register(&callable("graphs", "fork_join")).unwrap();
        assert_eq!(handle.id().index(), 0, "the id is free again");
        let mut output = vec![SENTINEL; 16];
        let mut arguments = Arguments::new();
        arguments.push_input(&input, &[16]).unwrap();
        arguments.push_output(&mut output, &[16]).unwrap();
        arguments.push_scalar(first).unwrap();
        worker.run(&handle, &mut arguments, &threads(2)).unwrap();
        drop(arguments);
        assert_eq!(output, fork_join(&input, first));
        worker.unregister(&handle).unwrap();
    }
}
