//! Two hundred workers that come and go, on both chips and in groups: nothing grows.
//!
//! Alone in its program: other tests beside it would change what the process holds.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::PathBuf;

use host_runner::comm::CommGroup;
use host_runner::worker::PlatformName;
use tests::process::{Holdings, leftovers};
use tests::workers::{assert_works, open_on, threads};

/// What the least resident memory of 30 lives may differ by 60 lives later; what the allocator keeps
/// goes up and down by megabytes from life to life. A leak of one window a worker would be 7.5 MB.
const RESIDENT_SLACK: u64 = 3 << 20;

/// Workers that live at the same time.
const AT_ONCE: usize = 2;

#[test]
fn workers_that_come_and_go_leave_nothing() {
    let before = leftovers();
    let mut held = Vec::new();
    for life in 0..100 {
        let platform = PlatformName::ALL[life % PlatformName::ALL.len()];
        let workers: Vec<_> = (0..AT_ONCE).map(|_| open_on(platform)).collect();
        let group = CommGroup::new(&workers.iter().collect::<Vec<_>>(), 1 << 16).unwrap();
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
    let (start, end) = (held[9], held[99]);
    println!("after 20 workers {start:?}\nafter 200 workers {end:?}");
    assert_eq!(end.threads, start.threads);
    assert_eq!(end.descriptors, start.descriptors);
    assert!(end.mappings <= start.mappings + MAPPINGS_SLACK, "{start:?} {end:?}");
    let least = |lives: &[Holdings]| lives.iter().map(|it| it.resident).min().unwrap();
    let (early, late) = (least(&held[10..40]), least(&held[70..]));
    assert!(late <= early + RESIDENT_SLACK, "{early} bytes, {late} bytes");
    let left: Vec<PathBuf> = leftovers().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// What the number of mappings may differ by: heaps of the allocator and cached stacks of threads.
/// A leak of one in each life would be 180.
const MAPPINGS_SLACK: usize = 16;
