//! Records of completions that are kept: used again, and only when nobody is left who has the old one.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

type Outcome = Result<std::sync::Arc<u32>, Unfinished>;

fn address(completion: &Completion<Outcome>) -> *const Shared<Outcome> {
    Arc::as_ptr(&completion.shared)
}

#[test]
fn the_next_use_finds_nothing_of_the_one_before() {
    let spares = Spares::<Outcome>::new(Err);
    let value = std::sync::Arc::new(1);
    let of_value = || Ok(std::sync::Arc::clone(&value));
    let (mut first, completer) = spares.take();
    let at = address(&first);
    let polled = Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    drop(first);
    assert!(completer.start());
    completer.complete(of_value());
    assert_eq!(std::sync::Arc::strong_count(&value), 1, "nobody has it any more");

    for round in 0..4 {
        let (completion, completer) = spares.take();
        assert_eq!(address(&completion), at, "round {round}");
        assert_eq!(format!("{completion:?}"), "Completion(accepted)");
        match round {
            0 => assert!(completion.cancel()),
            1 => assert!(completer.start()),
            2 => drop(completer),
            _ => completer.complete(of_value()),
        }
    }
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
    assert_eq!(format!("{spares:?}"), "Spares { kept: 1, .. }");
}

#[test]
fn no_more_are_kept_than_are_of_use_and_none_without_a_home() {
    let spares = Spares::<Outcome>::new(Err);
    drop((0..KEPT_MAX + 3).map(|_| spares.take()).collect::<Vec<_>>());
    assert_eq!(spares.lock().len(), KEPT_MAX);
    let (completion, completer) = spares.take();
    drop(spares);
    completer.complete(Ok(std::sync::Arc::new(2)));
    assert_eq!(completion.wait().unwrap(), 2.into());
}
