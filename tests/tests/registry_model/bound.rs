//! Bound calls, whose scalars change from run to run.

use host_runner::worker::BoundCall;
use proptest::sample::Index;
use tests::flag::Flag;

use crate::answers::end;
use crate::bench::{Bench, config};
use crate::calls::{Call, Deed, End, Output};
use crate::in_flight::owned;
use crate::steps::Run;

/// A bound call.
pub(crate) struct Bound {
    /// Of its handle.
    pub(crate) number: usize,
    call: BoundCall,
    cells: [usize; 2],
    /// What its output holds.
    content: Vec<u64>,
}

impl Bench<'_> {
    pub(crate) fn bind(&mut self, run: &Run) {
        let Some((number, handle)) = self.handle(&run.handle) else { return };
        let (cells, flags) = (run.cells, [Flag::new(), Flag::new()]);
        let arguments = owned(run.deed, None, cells, &flags);
        // Those of a run that hangs would be given up for the others, too.
        let config = config(Deed::Works, run.aicpu_threads);
        match self.worker.bind(&handle, arguments, &config) {
            Ok(call) => {
                assert!(self.model.is_registered(number));
                let content = vec![0; cells[0]];
                self.bound.push(Bound { number, call, cells, content });
            }
            Err(error) => {
                assert_eq!(end::<()>(Err(error)), End::Stale);
                assert!(!self.model.is_registered(number));
                self.note("bind: Stale");
            }
        }
    }

    /// Runs a bound call, beside others if there are some.
    pub(crate) fn run_bound(&mut self, index: &Index, deed: Deed, submits: bool) {
        let count = self.bound.len();
        if count == 0 {
            return;
        }
        let bound = &mut self.bound[index.index(count)];
        let deed = if deed == Deed::Hangs { Deed::Works } else { deed };
        let flags = [Flag::new(), Flag::new()];
        for (index, scalar) in
            [deed as u64, flags[0].address(), flags[1].address()].iter().enumerate()
        {
            bound.call.set_scalar(index, *scalar).unwrap();
        }
        let (number, bytes) = (bound.number, bound.call.arguments().host_bytes());
        let call = Call { deed, output: Output::Host, cells: bound.cells, bytes };
        if self.in_flight.is_held || submits {
            let given = bound.call.arguments().clone();
            let result = bound.call.submit();
            self.submitted(number, call, result, &given, flags);
            self.note("bound: submitted");
            return;
        }
        let found = end(bound.call.run());
        let (expected, left) = self.model.run(number, Call { bytes: 0, ..call });
        if expected == End::Done {
            bound.content = left;
        }
        assert_eq!(found, expected);
        assert_eq!(bound.call.arguments().elements::<u64>(0).as_ref(), Some(&bound.content));
        self.keep(deed, flags);
        match found {
            // Which one makes no difference here.
            End::Fault(_) => self.note("bound: Fault"),
            found => self.note(format!("bound: {found:?}")),
        }
    }

    pub(crate) fn drop_bound(&mut self, index: &Index) {
        let count = self.bound.len();
        if count > 0 {
            let Bound { number, call, .. } = self.bound.swap_remove(index.index(count));
            drop(call);
            self.note_drop(number);
        }
    }
}
