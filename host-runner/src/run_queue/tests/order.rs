//! The order of calls, against a model that is a list.

use proptest::prelude::*;

use super::*;

/// What is done while a turn holds everything up.
#[derive(Debug, Clone)]
enum Call {
    /// Submits a job of so many bytes.
    Submit(u64),
    /// Submits from a thread that waits for room.
    SubmitWithin(u64),
    /// Asks for a turn, on a thread of its own.
    Turn,
    /// Forgets one of the jobs accepted so far.
    Forget(prop::sample::Index),
}

/// The limit of the queues here.
const LIMIT: u64 = 8;

/// The queue as it should be: what is in line, and what waits for room.
#[derive(Default)]
struct Model {
    /// Number of the call, bytes, whether it has room.
    line: Vec<(u32, u64, bool)>,
}

impl Model {
    fn held(&self) -> u64 {
        self.line.iter().filter(|place| place.2).map(|place| place.1).sum()
    }

    fn waiting(&self) -> usize {
        self.line.iter().filter(|place| !place.2).count()
    }

    /// Gives room to those who wait, in order, as far as there is some for the first.
    fn admit(&mut self) {
        while let Some(at) = self.line.iter().position(|place| !place.2) {
            if self.held() + self.line[at].1 > LIMIT {
                return;
            }
            self.line[at].2 = true;
        }
    }
}

/// Does what a list of calls says, checks the bytes after each, and the order at the end.
fn check(calls: &[Call]) {
    let queue = RunQueue::new(LIMIT);
    let log = Log::default();
    let mut model = Model::default();
    let mut tickets = Vec::new();
    let turn = queue.turn().unwrap();
    thread::scope(|scope| {
        for (number, call) in (0..).zip(calls) {
            match call {
                Call::Submit(bytes) => {
                    let fits = model.waiting() == 0 && model.held() + bytes <= LIMIT;
                    let ticket = queue.submit(*bytes, log.job(number));
                    assert_eq!(ticket.is_ok(), fits, "{call:?}");
                    if let Ok(ticket) = ticket {
                        model.line.push((number, *bytes, true));
                        tickets.push((number, ticket));
                    }
                }
                Call::SubmitWithin(bytes) => {
                    let job = log.job(number);
                    let (queue, bytes) = (&queue, *bytes);
                    scope.spawn(move || queue.submit_within(bytes, job, LONG).unwrap());
                    model.line.push((number, bytes, false));
                    model.admit();
                }
                Call::Turn => {
                    let (queue, log) = (&queue, &log);
                    scope.spawn(move || {
                        let _turn = queue.turn().unwrap();
                        log.note(number);
                    });
                    model.line.push((number, 0, true));
                }
                Call::Forget(index) => {
                    if !tickets.is_empty() {
                        let (number, ticket) = tickets.swap_remove(index.index(tickets.len()));
                        assert!(queue.forget(ticket));
                        model.line.retain(|place| place.0 != number);
                        model.admit();
                    }
                }
            }
            // The threads of this call have come as far as they can.
            let expected = (model.line.len() - model.waiting() + 1, model.waiting());
            until(|| (queue.len(), queue.shared.lock().room_queue_len()) == expected);
            assert_eq!(queue.held_bytes(), model.held());
        }
        drop(turn);
    });
    drop(queue.turn().unwrap());
    let order: Vec<u32> = model.line.iter().map(|place| place.0).collect();
    assert_eq!(log.entries(), order);
    assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
    assert!(queue.usage().held_bytes_high_water <= LIMIT);
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..=LIMIT).prop_map(Call::Submit),
        2 => (0..=LIMIT).prop_map(Call::SubmitWithin),
        2 => Just(Call::Turn),
        1 => any::<prop::sample::Index>().prop_map(Call::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_are_served_in_their_order(calls in prop::collection::vec(call(), 0..14)) {
        check(&calls);
    }
}

/// Where the model above calls while the line stands still, here it moves: each thread sees its own
/// calls in order, nothing is done twice or not at all, and one at a time has the device.
#[test]
fn threads_that_call_at_once_each_keep_their_order() {
    const CALLS: u32 = 300;
    let queue = RunQueue::new(5);
    let log = Log::default();
    let users = Arc::new(AtomicU32::new(0));
    let use_alone = |users: &AtomicU32, log: &Log, what| {
        // ORDERING: Relaxed: the lock of the queue orders turns, or the count is wrong.
        assert_eq!(users.fetch_add(1, Ordering::Relaxed), 0, "two turns at once");
        log.note(what);
        users.fetch_sub(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for thread_index in 0..4 {
            let (queue, log, users) = (&queue, &log, &users);
            scope.spawn(move || {
                for call in 0..CALLS {
                    let what = thread_index * CALLS + call;
                    if (call + thread_index) % 3 == 0 {
                        let _turn = queue.turn().unwrap();
                        use_alone(users, log, what);
                    } else {
                        let (log, users) = (log.clone(), Arc::clone(users));
                        let job: Job = Box::new(move |_turn| use_alone(&users, &log, what));
                        queue.submit_within(u64::from(call % 6), job, LONG).unwrap();
                    }
                }
            });
        }
    });
    drop(queue.turn().unwrap());
    let entries = log.entries();
    for thread_index in 0..4 {
        let range = thread_index * CALLS..(thread_index + 1) * CALLS;
        let own: Vec<u32> = entries.iter().copied().filter(|what| range.contains(what)).collect();
        assert_eq!(own, range.collect::<Vec<_>>());
    }
    let end = queue.usage();
    assert_eq!((end.len, end.held_bytes), (0, 0));
    assert!(end.held_bytes_high_water <= 5, "{end:?}");
}
