//! Three hundred workers that come and go, on both chips and in groups: nothing grows.
//!
//! Alone in its program: other tests beside it would change what the process holds.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::PathBuf;

use host_runner::comm::CommGroup;
use host_runner::worker::PlatformName;
use tests::process::{Holdings, leftovers};
use tests::workers::{assert_works, open_on, threads};

/// Lives after which the allocator has grown to what it keeps: an executor is so large that where it
/// lies changes from life to life, until every place has been used.
const WARM: usize = 100;

/// What the least resident memory of 25 lives may differ by 25 lives later: it goes up and down by 5 MB
/// without end. A leak of one window a worker would be 26 MB.
const RESIDENT_SLACK: u64 = 10 << 20;

/// Bytes of each worker's window in the group.
const WINDOW_BYTES: usize = 1 << 19;

/// Workers that live at the same time.
const AT_ONCE: usize = 2;

#[test]
fn workers_that_come_and_go_leave_nothing() {
    let before = leftovers();
    let mut held = Vec::new();
    for life in 0..WARM + 50 {
        let platform = PlatformName::SIMULATORS[life % PlatformName::SIMULATORS.len()];
        let workers: Vec<_> = (0..AT_ONCE).map(|_| open_on(platform)).collect();
        let group = CommGroup::new(&workers.iter().collect::<Vec<_>>(), WINDOW_BYTES).unwrap();
        std::thread::scope(|scope| {
            for worker in &workers {
                scope.spawn(|| assert_works(worker, &threads(1 + (life % 4) as u32)));
            }
        });
        // In turn, the group goes before the workers and is still there for their last run.
        if life % 4 < 2 {
            group.close().unwrap();
            workers.iter().for_each(|worker| assert_works(worker, &threads(2)));
        } else {
            drop(group);
        }
        drop(workers);
        held.push(Holdings::now());
    }
    let (start, end) = (held[9], held[WARM + 49]);
    println!("after 20 workers {start:?}\nafter 300 workers {end:?}");
    assert_eq!(end.threads, start.threads);
    assert_eq!(end.descriptors, start.descriptors);
    assert!(end.mappings <= start.mappings + MAPPINGS_SLACK, "{start:?} {end:?}");
    let least = |lives: &[Holdings]| lives.iter().map(|it| it.resident).min().unwrap();
    let (early, late) = (least(&held[WARM..WARM + 25]), least(&held[WARM + 25..]));
    assert!(late <= early + RESIDENT_SLACK, "{early} bytes, {late} bytes");
    let left: Vec<PathBuf> = leftovers().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// What the number of mappings may differ by: heaps of the allocator and cached stacks of threads.
/// A leak of one in each life would be 280.
const MAPPINGS_SLACK: usize = 16;
