//! How long windows stay in memory.

use std::sync::Weak;
use std::time::Duration;

use super::*;
use crate::arguments::Arguments;
use crate::run::{RunConfig, RunError};
use crate::test_callables::{callable, kernel, orchestration};
use crate::worker::{PlatformName, WorkerConfig};

fn worker() -> Worker {
    Worker::open(WorkerConfig::new(PlatformName::A5Sim)).unwrap()
}

/// All memory of a group.
fn memories(group: &CommGroup<'_>) -> Vec<Weak<SharedMemory>> {
    let of = |(index, rank): (usize, &Rank<'_>)| {
        [&rank.memory.windows[index], &rank.memory.context].map(Arc::downgrade)
    };
    group.ranks.iter().enumerate().flat_map(of).collect()
}

fn is_there(memory: &Weak<SharedMemory>) -> bool {
    memory.strong_count() > 0
}

#[test]
fn windows_go_with_the_group_where_no_device_was_lost() {
    let workers = [worker(), worker()];
    let group = CommGroup::new(&workers.each_ref(), 100).unwrap();
    let memories = memories(&group);
    assert!(memories.iter().all(is_there));
    drop(group);
    assert!(!memories.iter().any(is_there));
}

#[test]
fn what_a_lost_device_may_reach_outlives_group_and_workers() {
    let workers = [worker(), worker()];
    let group = CommGroup::new(&workers.each_ref(), 100).unwrap();
    let memories = memories(&group);
    let endless = "#include <time.h>\nextern \"C\" void kernel_entry(long *) { \
                   for (;;) { timespec pause{0, 1000000}; nanosleep(&pause, nullptr); } }";
    let body = "store(0, args.scalars[0], 1);";
    let stuck = callable(orchestration(body), vec![kernel(0, endless)]);
    let handle = workers[1].register(&stuck).unwrap();
    let mut arguments = Arguments::new();
    arguments.push_scalar(group.context(1).unwrap().raw()).unwrap();
    let config = RunConfig {
        timeout: Duration::from_millis(300),
        grace: Duration::from_millis(300),
        ..RunConfig::default()
    };
    let lost = workers[1].run(&handle, &mut arguments, &config);
    assert!(matches!(lost, Err(RunError::DeviceLost(_))), "{lost:?}");
    assert!(matches!(group.close(), Err(CommError::DeviceLost { rank: 1 })));
    drop(workers);
    let [window_0, context_0, window_1, context_1] = memories.as_slice() else {
        panic!("two ranks")
    };
    assert!([window_0, window_1, context_1].into_iter().all(is_there));
    assert!(!is_there(context_0), "rank 1 has no business with the context of rank 0");
}
