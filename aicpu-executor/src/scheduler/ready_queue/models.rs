//! The queue in every interleaving of a few threads.

use super::*;
use loom::sync::Arc;
use std::{vec, vec::Vec};

type Shared = (ReadyQueue, [AtomicU64; 2]);

fn pop(shared: &Shared) -> Option<u32> {
    let mut value = [0];
    (shared.0.pop(&shared.1, &mut value) == 1).then_some(value[0])
}

/// The same with two values at a time: they stay in order, and a cell is used again only when
/// who took its value has read it.
///
/// There to catch: the head moved before the cells are read, `head_seen` beyond the head, and cells
/// written or read Relaxed.
#[test]
fn several_at_once_are_neither_lost_nor_doubled_nor_overtaken() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared: Arc<Shared> = Arc::default();
        let consumer = {
            let shared = Arc::clone(&shared);
            loom::thread::spawn(move || {
                let mut taken = [0; 2];
                let count = shared.0.pop(&shared.1, &mut taken);
                taken[..count].to_vec()
            })
        };
        shared.0.push(&shared.1, &[1, 2]).unwrap();
        let mut rest: Vec<u32> = pop(&shared).into_iter().collect();
        let third = shared.0.push(&shared.1, &[3]).is_ok();
        let seen = consumer.join().unwrap();
        while let Some(value) = pop(&shared) {
            rest.push(value);
        }
        assert!(seen.is_sorted() && rest.is_sorted(), "{seen:?} {rest:?}");
        let mut all = [seen, rest].concat();
        all.sort_unstable();
        assert_eq!(all, if third { vec![1, 2, 3] } else { vec![1, 2] });
    });
}

/// Two producers and one consumer on two cells, with a second lap: no value is lost, doubled
/// or torn. Preemptions are bounded to 3, which covers every known queue bug and keeps the run
/// in seconds.
#[test]
fn no_value_is_lost_or_doubled() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared: Arc<Shared> = Arc::default();
        let producer = {
            let shared = Arc::clone(&shared);
            loom::thread::spawn(move || {
                shared.0.push(&shared.1, &[1]).unwrap();
            })
        };
        let consumer = {
            let shared = Arc::clone(&shared);
            loom::thread::spawn(move || {
                let mut taken = Vec::new();
                for _ in 0..2 {
                    taken.extend(pop(&shared));
                }
                taken
            })
        };
        shared.0.push(&shared.1, &[2]).unwrap();
        let mine = pop(&shared);
        // Full or not depends on the others; a refused value must not appear.
        let third = shared.0.push(&shared.1, &[3]).is_ok();
        producer.join().unwrap();
        let mut seen = consumer.join().unwrap();
        seen.extend(mine);
        while let Some(value) = pop(&shared) {
            seen.push(value);
        }
        seen.sort_unstable();
        assert_eq!(seen, if third { vec![1, 2, 3] } else { vec![1, 2] });
    });
}
