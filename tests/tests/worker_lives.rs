//! Two hundred workers that come and go, on both chips and in groups: nothing grows.
//!
//! Alone in its program: other tests beside it would change what the process holds.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::PathBuf;

use host_runner::comm::CommGroup;
use host_runner::worker::PlatformName;
use tests::process::{Holdings, leftovers};
use tests::workers::{assert_works, open_on, threads};

/// What the resident memory may differ by: the allocator's and the kernel's own bookkeeping. A leak
/// of one window in each life would be 6 MB.
const RESIDENT_SLACK: u64 = 3 << 20;

/// Workers that live at the same time.
const AT_ONCE: usize = 2;

#[test]
fn workers_that_come_and_go_leave_nothing() {
    let before = leftovers();
    let mut at_start = None;
    for life in 0..100 {
        if life == 10 {
            at_start = Some(Holdings::now());
        }
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
    }
    let (start, end) = (at_start.unwrap(), Holdings::now());
    println!("after 20 workers {start:?}\nafter 200 workers {end:?}");
    assert_eq!(end.threads, start.threads);
    assert_eq!(end.descriptors, start.descriptors);
    assert!(end.mappings <= start.mappings + MAPPINGS_SLACK, "{start:?} {end:?}");
    assert!(end.resident <= start.resident + RESIDENT_SLACK, "{start:?} {end:?}");
    let left: Vec<PathBuf> = leftovers().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// What the number of mappings may differ by: heaps of the allocator and cached stacks of threads.
/// A leak of one in each life would be 180.
const MAPPINGS_SLACK: usize = 16;
