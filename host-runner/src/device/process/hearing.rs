//! Passing on what the program says in the log, in order and before what came of it.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::record_lane::RecordLane;

thread_local! {
    /// Whether this thread passes records on. Who listens to the log may use a device meanwhile, and must not wait for
    /// itself.
    static PASSES_ON: Cell<bool> = const { Cell::new(false) };
}

/// The one who passes records on.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Records that were lost and told of; held from reading records until the last of them has been passed on.
    dropped: Mutex<u64>,
}

impl Hearing {
    /// Passes on what the program has said, and says how much it could not: all that was in the lane has been passed on
    /// when this returns, if by another thread.
    pub(super) fn hear(
        &self,
        lane: &RecordLane,
        mut pass_on: impl FnMut(&[u8]),
        lose: impl FnOnce(u64),
    ) {
        let Some(_passing) = Passing::begin() else { return };
        // An empty lane says nothing before this is held: another thread may have emptied it, and still speak.
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        if !lane.is_empty() {
            for record in lane.take() {
                pass_on(&record);
            }
        }
        let lost = lane.dropped().saturating_sub(*dropped);
        if lost != 0 {
            *dropped += lost;
            lose(lost);
        }
    }
}

/// As long as it is there, this thread passes records on.
struct Passing;

impl Passing {
    /// `None` where this thread does so already.
    fn begin() -> Option<Self> {
        (!PASSES_ON.replace(true)).then_some(Self)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        PASSES_ON.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn lane() -> Box<RecordLane> {
        // SAFETY: zeros are an empty lane.
        Box::new(unsafe { core::mem::zeroed() })
    }

    fn no_loss(lost: u64) {
        panic!("{lost} records lost");
    }

    #[test]
    fn who_finds_the_lane_empty_waits_for_who_still_passes_on_what_was_there() {
        let (lane, hearing, has_passed) = (lane(), Hearing::default(), AtomicBool::new(false));
        let ((began, begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
        lane.put(b"why it failed");
        thread::scope(|scope| {
            let (lane, hearing, has_passed) = (&lane, &hearing, &has_passed);
            scope.spawn(move || {
                let pass_on = |_record: &[u8]| {
                    began.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    has_passed.store(true, Ordering::SeqCst);
                };
                hearing.hear(lane, pass_on, no_loss);
            });
            begun.recv().unwrap();
            assert!(lane.is_empty());
            let second = scope.spawn(move || {
                hearing.hear(lane, |_record| panic!("there is none"), no_loss);
                has_passed.load(Ordering::SeqCst)
            });
            // Time to return too early.
            thread::sleep(Duration::from_millis(50));
            go_on.send(()).unwrap();
            assert!(second.join().unwrap(), "it has returned before the record was passed on");
        });
    }

    #[test]
    fn who_listens_may_ask_the_device_meanwhile() {
        let (lane, hearing) = (lane(), Hearing::default());
        lane.put(b"one");
        let mut heard = Vec::new();
        let pass_on = |record: &[u8]| {
            lane.put(b"two");
            hearing.hear(&lane, |_record| panic!("out of order"), no_loss);
            heard.push(record.to_vec());
        };
        hearing.hear(&lane, pass_on, no_loss);
        hearing.hear(&lane, |record| heard.push(record.to_vec()), no_loss);
        assert_eq!(heard, [b"one".to_vec(), b"two".to_vec()]);
    }
}
