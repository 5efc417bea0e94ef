//! Graphs on the machine of one AICPU thread, where the seed fixes the order of events.

use std::vec::Vec;

use protocol::{A2a3, CoreCallable, DispatchId};

use super::graph::{KERNELS, Uploaded};
use super::{Machine, kernel_record, kernel_table, prepare_payloads, zeroed};
use crate::fault::{Fault, FaultLatch};
use crate::graph::open;
use crate::scheduler::Scheduler;
use crate::scheduler::core_table::Payloads;
use crate::scheduler::deferred::waiting_list::WaitingLists;
use crate::scheduler::partitions::{Driver, Partitions};
use crate::scheduler::task_store::Completer;
use crate::scheduler::thread::StepContext;
use crate::wait::{Polled, work_until};

impl Machine {
    /// Runs a graph with the kernels of test graphs, on a scheduler that may have had other runs.
    pub(crate) fn run_graph(self, scheduler: &Scheduler, uploaded: &Uploaded) -> Option<Fault> {
        let records: Vec<CoreCallable> = KERNELS.iter().map(kernel_record).collect();
        let table = kernel_table(&records);
        let kernels = &raw const table;
        // SAFETY: the table outlives the run, which is all that happens here.
        let kernels = unsafe { &*kernels };
        let payloads = zeroed::<Payloads>();
        let waiting = zeroed::<WaitingLists>();
        let clusters = self.clusters();
        prepare_payloads(&payloads, &clusters);
        let platform = self.platform(&raw const *payloads);
        let faults = FaultLatch::new();
        scheduler.start();
        // SAFETY: what the run names outlives it, and this is its only thread.
        let opened = unsafe { open(&platform, scheduler, &faults, uploaded.run, kernels) };
        let Ok(opened) = opened else { return faults.take() };
        let partitions = zeroed::<Partitions<A2a3>>();
        // SAFETY: this is the run's only thread.
        unsafe { partitions.form(&clusters, 1, |_| DispatchId::FIRST) };
        let mut driver = Driver::new(&partitions, 0);
        scheduler.set_total(opened.graph.task_count());
        scheduler.make_roots_ready(&platform, &opened.graph, &faults, opened.graph.roots());
        let context = StepContext {
            platform: &platform,
            faults: &faults,
            scheduler,
            tasks: &opened.graph,
            payloads: &payloads,
            waiting: &waiting,
            completer: Completer::Scheduler,
        };
        let end = work_until(
            &platform,
            &faults,
            200,
            || scheduler.progress::<A2a3, _>(&platform),
            || match scheduler.is_finished() && partitions.are_idle() {
                true => Polled::Done(()),
                false if driver.step(context) => Polled::Progress,
                false => Polled::Idle,
            },
        );
        if end.is_ok() {
            opened.note_success(scheduler.queue_positions());
        }
        faults.take()
    }
}
