//! What came of a run or a load, as far as the device has said it.
//!
//! Our executor writes an [`OutcomeRecord`] with code and text. If it did not get so far, the header of the
//! shared region may have a code, as it has from an executor of the reference: the orchestrator's comes
//! first, since the scheduler's often follows from it (spec callable §3.6).

use aicpu_executor::Fault;
use protocol::{OutcomeRecord, SharedMemoryHeader, StatusCode};
use zerocopy::FromBytes as _;

use crate::device::RunOutcome;

/// The fault that an outcome record tells of.
pub fn fault_of(record: &OutcomeRecord) -> Option<Fault> {
    (record.code != 0).then(|| fault(record.code, record.text()))
}

/// The outcome that the record of run `number` tells of; `None` if it is about another one.
pub fn outcome_of(record: &OutcomeRecord, number: u32) -> Option<RunOutcome> {
    (record.number == number).then(|| RunOutcome {
        fault: fault_of(record).map(Box::new),
        tasks: record.tasks,
        loaded: record.loaded != 0,
    })
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
    fn an_outcome_is_of_the_run_with_its_number_and_of_no_other() {
        let told = OutcomeRecord { number: 7, tasks: 3, loaded: 1, ..OutcomeRecord::default() };
        assert_eq!(outcome_of(&told, 6), None);
        let outcome = outcome_of(&told, 7).unwrap();
        assert_eq!((outcome.fault, outcome.tasks, outcome.loaded), (None, 3, true));
        let failed = told.with_fault(9, "out of luck");
        let fault = *outcome_of(&failed, 7).unwrap().fault.unwrap();
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
