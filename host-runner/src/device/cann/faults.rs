//! What came of a run or a load, as far as the device has said it.
//!
//! Our executor writes a [`RunReport`] with code and text. If it did not get so far, the header of the
//! shared region may have a code, as it has from an executor of the reference: the orchestrator's comes
//! first, since the scheduler's often follows from it (spec callable §3.6).

use aicpu_executor::Fault;
use protocol::{RunReport, SharedMemoryHeader, StatusCode};
use zerocopy::FromBytes as _;

use crate::device::RunOutcome;

/// The fault that a report tells of.
pub fn fault_of(report: &RunReport) -> Option<Fault> {
    (report.code != 0).then(|| fault(report.code, report.text()))
}

/// The outcome of the run that a report is about.
pub fn outcome_of(report: &RunReport) -> RunOutcome {
    RunOutcome {
        fault: fault_of(report).map(Box::new),
        tasks: report.tasks,
        loaded: report.loaded != 0,
    }
}

/// The fault that the header of a region tells of, from its bytes.
pub fn fault_in_header(bytes: &[u8]) -> Option<Fault> {
    let (header, _) = SharedMemoryHeader::read_from_prefix(bytes).ok()?;
    // ORDERING: Relaxed (both): a copy, which nobody else sees.
    let codes = [&header.orch_error_code, &header.sched_error_code]
        .map(|code| code.load(std::sync::atomic::Ordering::Relaxed));
    let code = codes.into_iter().find(|code| *code != 0)?;
    let meaning = StatusCode::from_code(code)
        .map_or("a number of the orchestration", |status| status.meaning());
    Some(fault(code, meaning))
}

fn fault(code: i32, text: &str) -> Fault {
    let mut kept = aicpu_executor::FaultText::new();
    for character in text.chars() {
        if kept.push(character).is_err() {
            break;
        }
    }
    Fault { code, text: kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes as _;

    #[test]
    fn a_report_is_an_outcome_with_a_fault_or_without() {
        let mut report = RunReport { run_number: 7, tasks: 3, loaded: 1, ..RunReport::NONE };
        let outcome = outcome_of(&report);
        assert_eq!((outcome.fault, outcome.tasks, outcome.loaded), (None, 3, true));
        report.code = 9;
        report.set_text("out of luck");
        let fault = *outcome_of(&report).fault.unwrap();
        assert_eq!((fault.code, fault.text.as_str()), (9, "out of luck"));
    }

    #[test]
    fn of_two_codes_in_a_header_the_orchestrators_comes_first() {
        let code = |orchestrator: i32, scheduler: i32| {
            let mut header = SharedMemoryHeader::default();
            *header.orch_error_code.get_mut() = orchestrator;
            *header.sched_error_code.get_mut() = scheduler;
            fault_in_header(header.as_mut_bytes()).map(|fault| fault.code)
        };
        assert_eq!(code(0, 0), None);
        assert_eq!(code(0, 100), Some(100));
        assert_eq!(code(9, 100), Some(9));
        assert_eq!(fault_in_header(&[0; 100]), None, "cut off");
    }
}
