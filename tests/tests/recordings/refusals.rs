//! What cannot be recorded, and arguments that are not those that were.

use host_runner::arguments::{Arguments, ArgumentsError, TensorArgument, TensorData};
use host_runner::host_orchestration::BuildError;
use host_runner::run::RunConfig;
use host_runner::worker::{PlatformName, RecordError, Recording, ReplayError, RunError, Worker};
use protocol::DataType;
use tests::sources;
use tests::workers::{SENTINEL, open, open_on, with_causes};

use super::setting::{Chain, config, register};

/// Records a run of `reaches` on words that may be shared, and gives why not.
fn reach(
    worker: &Worker,
    inputs: (&[u64], &[u64]),
    output: &mut [u64],
    scalars: [u64; 3],
) -> Option<RecordError> {
    let handle = register(worker, "reaches");
    let length = |words: &[u64]| [u32::try_from(words.len()).unwrap()];
    let mut arguments = Arguments::new();
    let output_length = length(output);
    arguments.push_input(inputs.0, &length(inputs.0)).unwrap();
    arguments.push_output(output, &output_length).unwrap();
    arguments.push_input(inputs.1, &length(inputs.1)).unwrap();
    scalars.iter().for_each(|scalar| arguments.push_scalar(*scalar).unwrap());
    match worker.record(&handle, &mut arguments, &config()) {
        Ok(_) => None,
        Err(RunError::NotRecordable(error)) => Some(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn what_belongs_to_no_tensor_or_to_two_cannot_be_recorded() {
    let worker = open();
    let words = [5_u64; 8];
    let mut output = [SENTINEL; 4];
    // Tensor 2 shares the last four words of tensor 0, which are not copied, and then are.
    let of_first = (&words[..], &words[4..]);
    assert_eq!(reach(&worker, of_first, &mut output, [32, 0, 0]), None);
    assert_eq!(output, [5, SENTINEL, SENTINEL, SENTINEL]);
    output = [SENTINEL; 4];
    let error = reach(&worker, of_first, &mut output, [40, 0, 0]);
    let shared = RecordError::SharedMemory { what: "copy", index: 0, first: 0, second: 2 };
    assert_eq!(error, Some(shared));
    // The copy reaches from tensor 0 into tensor 2.
    let error = reach(&worker, (&words[..4], &words[4..]), &mut output, [40, 0, 0]);
    assert_eq!(error, Some(RecordError::CopyAcross { index: 0, bytes: 40, tensor: 0 }));
    // The output: to memory of the orchestration's own.
    let error = reach(&worker, of_first, &mut output, [8, 0, 1]);
    assert_eq!(error, Some(RecordError::OutputElsewhere { index: 0, bytes: 8 }));
    assert_eq!(output, [SENTINEL; 4]);
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs), (1, 3));
}

#[test]
fn a_run_that_fails_is_not_recorded_and_the_next_one_is() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let handle = register(&worker, "chain");
        // A kernel throws.
        let fault = Chain::of(0xBAD..0xBBD).record(&worker, &handle);
        assert!(matches!(fault, Err(RunError::Fault(_))), "{:?}", fault.map(drop));
        // The entry gets no memory, and returns 1.
        let mut large = Chain { unused: 1 << 50, ..Chain::of(0..16) };
        match large.record(&worker, &handle).map(drop) {
            Err(RunError::Build(BuildError::Returned { status: 1, mentioned: Some(call) })) => {
                assert_eq!(call.call, "device_malloc");
            }
            other => panic!("{other:?}"),
        }
        let mut chain = Chain::of(0..16);
        let recording = chain.assert_record(&worker, &handle, 3);
        // What fails later leaves what was recorded.
        let refused = large.rebuild(&recording);
        assert!(matches!(refused, Err(ReplayError::Run(RunError::Build(_)))), "{refused:?}");
        let refused = Chain::of(0xBAD..0xBBD).rebuild(&recording);
        assert!(matches!(refused, Err(ReplayError::Run(RunError::Fault(_)))), "{refused:?}");
        chain.assert_replay(&recording, 3);
        let counters = worker.counters();
        assert_eq!((counters.runs, counters.failed_runs), (2, 4));
    }
}

#[test]
fn a_run_of_trb_cannot_be_recorded() {
    let worker = open();
    let callable = sources::callable("runs", "adds", sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    let refused = worker.record(&handle, &mut Arguments::new(), &config());
    let error = refused.unwrap_err();
    assert!(matches!(error, RunError::NotRecordable(RecordError::OfTrb)), "{error:?}");
    assert!(with_causes(&error).contains("for trb"), "{}", with_causes(&error));
    assert_eq!(worker.counters().failed_runs, 0);
}

/// Replays a recording of `chain` on six cells, the constant 7 and four steps, with other arguments; why
/// it is refused.
fn refused(
    recording: &Recording,
    fill: impl FnOnce(&mut Arguments<'_>) -> Result<(), ArgumentsError>,
) -> ReplayError {
    let mut arguments = Arguments::new();
    fill(&mut arguments).unwrap();
    recording.replay(&mut arguments, &config()).unwrap_err()
}

static INPUT: [u64; 6] = [1; 6];
static SIGNED: [i64; 6] = [1; 6];

#[test]
fn tensors_that_were_not_recorded_are_named_with_what_was_and_what_is() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..6);
    let recording = chain.assert_record(&worker, &handle, 1);
    let error = refused(&recording, |_| Ok(()));
    let is_count = matches!(error, ReplayError::Count { what: "tensor", recorded: 2, given: 0 });
    assert!(is_count, "{error:?}");
    let check = |error: ReplayError, at: usize, text: &str| {
        let ReplayError::Shape { index, recorded, given } = &error else { panic!("{error:?}") };
        assert_eq!((*index, recorded.to_string().as_str()), (at, "UINT64[6] on the host"));
        assert_eq!((recorded.dimensions(), recorded.is_on_device()), (&[6][..], false));
        assert_eq!(given.to_string(), text);
        assert!(error.to_string().contains(text), "{error}");
    };
    let error = refused(&recording, |arguments| {
        arguments.push_input(&INPUT, &[2, 3])?;
        arguments.push_input(&INPUT, &[6])
    });
    check(error, 0, "UINT64[2, 3] on the host");
    let error = refused(&recording, |arguments| {
        arguments.push_input(&INPUT, &[6])?;
        arguments.push_input(&SIGNED, &[6])
    });
    check(error, 1, "INT64[6] on the host");
    let data = TensorData::Device(worker.allocate(48).unwrap());
    let error = refused(&recording, |arguments| {
        let (dtype, shape) = (DataType::Uint64, vec![6]);
        arguments.push_tensor(TensorArgument { data, dtype, shape })?;
        arguments.push_input(&INPUT, &[6])
    });
    check(error, 0, "UINT64[6] on the device");
    chain.assert_replay(&recording, 1);
    assert_eq!(worker.counters().failed_runs, 4);
}

#[test]
fn scalars_that_were_not_recorded_and_outputs_that_may_not_be_written_are_named() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..6);
    let recording = chain.assert_record(&worker, &handle, 1);
    let with = |scalars: &[u64]| {
        refused(&recording, |arguments| {
            // Both may only be read, which is looked at last.
            arguments.push_input(&INPUT, &[6])?;
            arguments.push_input(&INPUT, &[6])?;
            scalars.iter().try_for_each(|scalar| arguments.push_scalar(*scalar))
        })
    };
    let error = with(&[7, 4]);
    let is_count = matches!(error, ReplayError::Count { what: "scalar", recorded: 3, given: 2 });
    assert!(is_count, "{error:?}");
    let error = with(&[7, 5, 1]);
    let is_second = matches!(error, ReplayError::Scalar { index: 1, recorded: 4, given: 5 });
    assert!(is_second, "{error:?}");
    let error = with(&[7, 4, 0]);
    let is_output = matches!(error, ReplayError::Run(RunError::ReadOnlyOutput { index: 1 }));
    assert!(is_output, "{error:?}");
    chain.assert_replay(&recording, 1);
}

#[test]
fn a_recording_is_stale_when_its_callable_is_unregistered() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..6);
    let recording = chain.assert_record(&worker, &handle, 1);
    worker.unregister(&handle).unwrap();
    // Another one under the same id.
    let other = register(&worker, "chain");
    assert_eq!(other.id(), handle.id());
    for refused in [chain.replay(&recording), chain.rebuild(&recording)] {
        let is_stale = matches!(refused, Err(ReplayError::Run(RunError::StaleCallable(_))));
        assert!(is_stale, "{refused:?}");
    }
    let foreign = open().record(&other, &mut Arguments::new(), &config());
    assert!(matches!(foreign, Err(RunError::ForeignHandle)), "{foreign:?}");
    chain.assert_run(&worker, &other, 1);
}

#[test]
fn settings_are_refused_as_in_a_run() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..6);
    let recording = chain.assert_record(&worker, &handle, 1);
    let wrong = RunConfig { block_dim: 0, ..config() };
    let refused = chain.lend(|arguments| recording.replay(arguments, &wrong));
    let is_block_dim = matches!(refused, Err(ReplayError::Run(RunError::BlockDim { .. })));
    assert!(is_block_dim, "{refused:?}");
    chain.assert_replay(&recording, 1);
}
