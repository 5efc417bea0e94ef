//! The loop over rounds, against a target that is no device.

use std::cell::Cell;
use std::io;

use host_runner::number::Number;
use protocol::DataType;

use super::*;

/// Writes `a + n` to `f` and adds one to `g`, but spoils or fails one round.
struct Adder {
    rounds: Cell<u64>,
    spoil: u64,
    fail: u64,
}

impl Adder {
    fn new(spoil: u64, fail: u64) -> Self {
        Self { rounds: Cell::new(0), spoil, fail }
    }
}

impl Target for Adder {
    fn run(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<Round, Box<dyn Error>> {
        let round = self.rounds.get() + 1;
        self.rounds.set(round);
        assert_eq!((config.block_dim, config.aicpu_threads), (3, 4));
        assert_eq!(arguments.scalars(), [10]);
        let [a, f, g] = arguments.tensors() else { panic!("three tensors") };
        assert!(matches!(a, TensorData::In([1, 2])));
        // Copied in, so that the device starts fresh as well.
        assert!(matches!(&f, TensorData::InOut([0, 0])), "round {round}: {f:?}");
        assert!(matches!(&g, TensorData::InOut([5])), "round {round}: {g:?}");
        if round == self.fail {
            return Err(Box::new(io::Error::other("core hung")));
        }
        let spoilt = u8::from(round == self.spoil);
        arguments.writable(1).unwrap().copy_from_slice(&[11, 12 + spoilt]);
        arguments.writable(2).unwrap()[0] += 1 + spoilt;
        Ok(Round { tasks: 2, elapsed: Duration::from_micros(round) })
    }

    fn loads(&self) -> u64 {
        1
    }
}

fn case() -> PreparedCase {
    let tensor = |name: &str, direction, initial: &[u8], expected: Option<&[u8]>| TensorValues {
        name: name.into(),
        direction,
        dtype: DataType::Uint8,
        shape: vec![u32::try_from(initial.len()).unwrap()],
        initial: initial.into(),
        expected: expected.map(<[u8]>::to_vec),
    };
    let tensors = vec![
        tensor("a", ArgDirection::In, &[1, 2], None),
        tensor("f", ArgDirection::Out, &[0, 0], Some(&[11, 12])),
        tensor("g", ArgDirection::InOut, &[5], Some(&[6])),
    ];
    PreparedCase {
        name: "demo".into(),
        data: CaseData { tensors, scalars: vec![10] },
        config: RunConfig { block_dim: 3, aicpu_threads: 4, ..RunConfig::default() },
        tolerances: vec![Tolerance::EXACT; 3],
    }
}

#[test]
fn every_round_starts_fresh_and_all_must_be_right() {
    let rounds = Cell::new(0);
    let count = || rounds.set(rounds.get() + 1);
    let result = run_case(&Adder::new(0, 0), &case(), 3, &count);
    let expected = CaseResult {
        name: "demo".into(),
        tasks: 2,
        loads: 1,
        times: [1, 2, 3].map(Duration::from_micros).to_vec(),
        outcome: Outcome::Passed { compared: 2, outputs: 2 },
    };
    assert_eq!(result, expected);
    assert_eq!(rounds.get(), 3);
}

#[test]
fn the_first_wrong_round_ends_the_case_and_names_every_wrong_tensor() {
    let result = run_case(&Adder::new(2, 0), &case(), 5, &|| {});
    let mismatch = |index: u32, got: u8, expected: u8, total: usize| Mismatch {
        differing: 1,
        total,
        index: vec![index],
        got: Number::Integer(got.into()),
        expected: Number::Integer(expected.into()),
        largest_difference: 1.0,
        tolerance: Tolerance::EXACT,
    };
    let tensors =
        vec![("f".to_owned(), mismatch(1, 13, 12, 2)), ("g".to_owned(), mismatch(0, 7, 6, 1))];
    assert_eq!(result.outcome, Outcome::Mismatched { round: 2, tensors });
    assert_eq!(result.times.len(), 2);
}

#[test]
fn a_failed_round_ends_the_case_with_its_cause() {
    let result = run_case(&Adder::new(0, 3), &case(), 5, &|| {});
    assert_eq!(result.outcome, Outcome::Failed { round: 3, message: "core hung".into() });
    assert_eq!(result.times.len(), 2);
}

#[test]
fn outputs_without_expectation_are_counted() {
    let mut case = case();
    case.data.tensors[2].expected = None;
    let result = run_case(&Adder::new(0, 0), &case, 1, &|| {});
    assert_eq!(result.outcome, Outcome::Passed { compared: 1, outputs: 2 });
}

#[test]
fn too_many_scalars_are_a_failure_of_the_case() {
    let mut case = case();
    case.data.scalars = vec![0; 129];
    let result = run_case(&Adder::new(0, 0), &case, 1, &|| {});
    assert!(
        matches!(result.outcome, Outcome::Failed { round: 1, message } if message.contains("128"))
    );
}
