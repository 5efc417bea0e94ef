//! What the header of the shared region says of a run whose executor has not reported in its log area, as one of
//! the reference does not: the orchestrator's code comes first, since the scheduler's often follows from it (spec
//! callable §3.6).

use aicpu_executor::Fault;
use aicpu_executor::fault::FaultText;
use protocol::{SharedMemoryHeader, StatusCode};
use zerocopy::FromBytes as _;

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
    let mut kept = FaultText::new();
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
