//! Runs in flight: submitted, held up, cancelled, waited for; and unregistrations that wait for them.

use std::time::{Duration, Instant};

use host_runner::arguments::OwnedArguments;
use host_runner::completion::Completion;
use host_runner::registry::Unregistered;
use host_runner::worker::{RunCompletion, SubmitError, SubmitRefusal};
use proptest::sample::Index;
use protocol::{DataType, DeviceAddr};
use tests::flag::Flag;

use crate::answers::end;
use crate::bench::{Bench, IN_FLIGHT_BYTES, config};
use crate::calls::{Call, Deed, End, Output};
use crate::model::Ticket;
use crate::steps::Run;

/// How long to wait for what happens at once.
const SOON: Duration = Duration::from_secs(20);

/// What is in flight.
#[derive(Default)]
pub(crate) struct InFlight {
    /// Runs that nobody has waited for.
    runs: Vec<Submitted>,
    /// Whether the first of them waits for the user, so that nothing moves.
    pub(crate) is_held: bool,
    /// Unregistrations that nobody knows the end of, by handle.
    pub(crate) unregistrations: Vec<(usize, Completion<Unregistered>)>,
    /// Whether a run was cancelled that was about to begin: the queue may still have it in hand.
    has_raced: bool,
}

/// A run that was submitted.
struct Submitted {
    ticket: Ticket,
    number: usize,
    call: Call,
    completion: RunCompletion,
    flags: [Flag; 2],
}

/// The arguments of a run that owns them.
pub(crate) fn owned(
    deed: Deed,
    place: Option<DeviceAddr>,
    [cells, input]: [usize; 2],
    flags: &[Flag; 2],
) -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    let shape = |count: usize| [u32::try_from(count).unwrap()];
    match place {
        None => arguments.push_output::<u64>(&shape(cells)).unwrap(),
        Some(place) => arguments.push_device(place, DataType::Uint64, &shape(cells)).unwrap(),
    }
    if input > 0 {
        arguments.push_input(&vec![7_u64; input], &shape(input)).unwrap();
    }
    for scalar in [deed as u64, flags[0].address(), flags[1].address()] {
        arguments.push_scalar(scalar).unwrap();
    }
    arguments
}

impl Bench<'_> {
    /// Whether runs are in flight that nothing holds up.
    pub(crate) fn is_racing(&self) -> bool {
        !self.in_flight.is_held && !self.in_flight.runs.is_empty()
    }

    /// Submits a run; whether it was accepted.
    pub(crate) fn submit(&mut self, run: &Run) -> bool {
        let Some((number, handle)) = self.handle(&run.handle) else { return false };
        let place = self.place(run);
        let flags = [Flag::new(), Flag::new()];
        let address = place.map(|number| self.addresses[number]);
        let arguments = owned(run.deed, address, run.cells, &flags);
        let output = place.map_or(Output::Host, Output::Device);
        let bytes = arguments.host_bytes();
        let call = Call { deed: run.deed, output, cells: run.cells, bytes };
        let given = arguments.clone();
        let result = self.worker.submit(&handle, arguments, &config(run.deed, run.aicpu_threads));
        self.submitted(number, call, result, &given, flags)
    }

    /// What came of a submission; whether it was accepted.
    pub(crate) fn submitted(
        &mut self,
        number: usize,
        call: Call,
        result: Result<RunCompletion, SubmitError>,
        given: &OwnedArguments,
        flags: [Flag; 2],
    ) -> bool {
        let has_room = self.model.in_flight().1 + call.bytes <= IN_FLIGHT_BYTES;
        let refused = match result {
            Ok(completion) => {
                // What the model has in flight may be done.
                assert!(has_room || self.is_racing(), "accepted without room");
                let ticket = self.model.submit(number, call).unwrap();
                self.in_flight.runs.push(Submitted { ticket, number, call, completion, flags });
                return true;
            }
            Err(refused) => refused,
        };
        assert_eq!(&*refused.arguments, given, "the arguments come back");
        let found = match refused.why {
            SubmitRefusal::Full { need, .. } => {
                assert_eq!(need, call.bytes);
                assert!(!has_room && self.model.is_registered(number));
                End::NoRoom
            }
            SubmitRefusal::Run(error) => {
                let found = end::<()>(Err(error));
                assert_eq!(Err(&found), self.model.submit(number, call).as_ref());
                found
            }
            other => panic!("{other:?}"),
        };
        self.note(format!("submit: {found:?}"));
        false
    }

    /// Submits a run that waits for the user. If it is the first one, it is in progress afterwards.
    pub(crate) fn hold(&mut self, index: &Index) {
        let (handle, deed) = (*index, Deed::Waits);
        let run = Run { handle, deed, device_output: None, cells: [9, 3], aicpu_threads: 2 };
        if !self.submit(&run) || self.in_flight.is_held {
            return;
        }
        let raised = &self.in_flight.runs.last().unwrap().flags[1];
        let deadline = Instant::now() + SOON;
        while raised.get() == 0 {
            assert!(Instant::now() < deadline, "the run that waits has not begun");
            std::thread::sleep(Duration::from_micros(100));
        }
        self.model.begin();
        self.in_flight.is_held = true;
    }

    /// Lets the runs that wait for the user go on.
    pub(crate) fn release(&mut self) {
        let waiting = self.in_flight.runs.iter().filter(|run| run.call.deed == Deed::Waits);
        waiting.for_each(|run| run.flags[0].set());
        self.in_flight.is_held = false;
    }

    pub(crate) fn wait(&mut self, index: &Index) {
        let count = self.in_flight.runs.len();
        if count == 0 {
            return;
        }
        let number = index.index(count);
        if !self.model.has_ended(self.in_flight.runs[number].ticket) {
            self.release();
        }
        let is_last = number + 1 == count;
        let submitted = self.in_flight.runs.remove(number);
        self.finish_run(submitted);
        self.note(if is_last { "wait for the last" } else { "wait for another" });
    }

    fn finish_run(&mut self, submitted: Submitted) {
        let Submitted { ticket, call, completion, flags, .. } = submitted;
        let result = completion.wait();
        if !self.model.has_ended(ticket) {
            self.model.end(ticket);
        }
        let (expected, left) = self.model.take_end(ticket);
        if let (Ok(output), Output::Host) = (&result, call.output) {
            assert_eq!(output.arguments.elements(0), Some(left));
        }
        let found = end(result);
        assert_eq!(found, expected);
        self.keep(call.deed, flags);
        self.note(format!("submit: {found:?}"));
        self.check_unregistrations();
    }

    /// Waits for all runs, some of them in the order of the submissions.
    pub(crate) fn drain(&mut self) {
        self.release();
        while !self.in_flight.runs.is_empty() {
            let count = self.in_flight.runs.len();
            let submitted =
                self.in_flight.runs.remove(if count.is_multiple_of(3) { count / 2 } else { 0 });
            self.finish_run(submitted);
        }
        if std::mem::take(&mut self.in_flight.has_raced) {
            let deadline = Instant::now() + SOON;
            let is_left = |handle| self.worker.runs_in_flight(handle) > 0;
            while self.handles.iter().flatten().any(is_left) {
                assert!(Instant::now() < deadline, "a cancelled run has a lease");
                std::thread::yield_now();
            }
        }
        self.note_losses();
        self.check_unregistrations();
    }

    pub(crate) fn cancel(&mut self, index: &Index) {
        let count = self.in_flight.runs.len();
        if count == 0 {
            return;
        }
        let Submitted { ticket, number, completion, .. } = &self.in_flight.runs[index.index(count)];
        if !self.is_racing() {
            let found = completion.cancel();
            assert_eq!(found, self.model.cancel(*ticket));
            self.note(format!("cancel: {found}"));
        } else if self.model.is_registered(*number) && completion.cancel() {
            // It came before the run began: the model follows.
            assert!(self.model.cancel(*ticket));
            self.in_flight.has_raced = true;
        }
        self.check_unregistrations();
    }

    /// Unregistrations end with the last run of their callable, and not before.
    pub(crate) fn check_unregistrations(&mut self) {
        let is_racing = self.is_racing();
        for (number, completion) in std::mem::take(&mut self.in_flight.unregistrations) {
            match self.model.given_back(number) {
                Some(expected) if completion.is_done() || !is_racing => {
                    // It comes after the last run, and nobody waits for more than that.
                    let ended = completion.wait_for(SOON).expect("all runs have ended");
                    let found = if ended.is_ok() { End::Done } else { End::Lost };
                    assert_eq!(found, *expected);
                    self.note(format!("unregistered: {found:?}"));
                }
                ended => {
                    assert!(ended.is_some() || is_racing || !completion.is_done(), "too early");
                    self.in_flight.unregistrations.push((number, completion));
                }
            }
        }
    }
}
