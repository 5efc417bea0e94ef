//! Copies for runs: in memory that is kept, and never of what only another run has.

use super::super::{OwnedArguments, TensorSet as _};
use super::*;

fn arguments() -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    arguments.push_input(&[1u32, 2], &[2]).unwrap();
    arguments.push_output::<u32>(&[4]).unwrap();
    arguments.push_inout(&[3u8; 5], &[5]).unwrap();
    arguments.push_scalar(9).unwrap();
    arguments
}

fn kept(spares: &Spares) -> usize {
    spares.lock().copies.len()
}

#[test]
fn a_copy_in_used_memory_is_equal_whatever_was_in_it() {
    let spares = Arc::new(Spares::default());
    let mut arguments = arguments();
    for round in 0..5 {
        let mut copy = arguments.snapshot(&spares);
        assert_eq!(copy, arguments, "round {round}");
        let at = std::ptr::from_ref(copy.record());
        copy.writable(1).unwrap().fill(7);
        copy.set_tensor(0, OwnedData::InOut(vec![1; 8])).unwrap();
        copy.set_scalar(0, 1).unwrap();
        if round == 1 {
            copy.push_scalar(5).unwrap();
        }
        if round == 2 {
            copy = arguments.clone();
            assert_eq!(kept(&spares), 1, "it went when the other took its place");
            copy.push_scalar(6).unwrap();
        }
        arguments.set_scalar(0, round).unwrap();
        arguments.set_tensor(2, OwnedData::InOut(vec![u8::try_from(round).unwrap(); 5])).unwrap();
        drop(copy);
        assert_eq!(kept(&spares), 1, "round {round}");
        assert_eq!(std::ptr::from_ref(arguments.snapshot(&spares).record()), at);
    }
}

#[test]
fn what_is_kept_keeps_no_memory_of_others() {
    let spares = Arc::new(Spares::default());
    let mut arguments = OwnedArguments::new();
    let input: Arc<[u8]> = vec![1; 8].into();
    let data = OwnedData::In(Arc::clone(&input));
    arguments.push_tensor(data, protocol::DataType::Uint8, &[8]).unwrap();
    let copy = arguments.snapshot(&spares);
    assert_eq!(Arc::strong_count(&input), 3);
    drop(copy);
    assert_eq!((kept(&spares), Arc::strong_count(&input)), (1, 2));
}

#[test]
fn no_more_is_kept_than_the_bounds_say() {
    let spares = Arc::new(Spares::default());
    let small = arguments();
    drop((0..KEPT_MAX + 3).map(|_| small.snapshot(&spares)).collect::<Vec<_>>());
    assert_eq!(kept(&spares), KEPT_MAX);
    let spares = Arc::new(Spares::default());
    let mut large = OwnedArguments::new();
    large.push_output::<u8>(&[u32::try_from(KEPT_BYTES_MAX).unwrap() / 2]).unwrap();
    drop((0..3).map(|_| large.snapshot(&spares)).collect::<Vec<_>>());
    assert_eq!(kept(&spares), 1);
    assert!(spares.lock().bytes <= KEPT_BYTES_MAX);
    let again = large.snapshot(&spares);
    assert_eq!((kept(&spares), spares.lock().bytes), (0, 0));
    drop(again);
    assert!(format!("{spares:?}").starts_with("Spares { kept: 1, bytes: 2"), "{spares:?}");
}
