//! What a queue costs that nobody submits to.

use std::fs;
use std::process::Command;

use super::*;

/// Set for the process that has no other queues in it.
const ALONE: &str = "RUN_QUEUE_TEST_ALONE";

fn drivers() -> usize {
    let names = fs::read_dir("/proc/self/task").unwrap().map(|task| {
        // A thread of the test runner may end meanwhile.
        fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    });
    names.filter(|name| name.trim_end() == driver::THREAD_NAME).count()
}

/// Counted in a process of its own, because the queues of other tests have drivers too.
#[test]
fn there_is_no_thread_before_the_first_job_and_one_until_the_drop() {
    if std::env::var_os(ALONE).is_none() {
        let name = concat!(
            "run_queue::tests::without_jobs::",
            "there_is_no_thread_before_the_first_job_and_one_until_the_drop"
        );
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let queue = RunQueue::new(1);
    for _ in 0..1000 {
        drop(queue.turn().unwrap());
    }
    assert!(queue.submit(2, nothing()).is_err());
    assert_eq!(drivers(), 0);
    for _ in 0..2 {
        queue.submit_within(1, nothing(), LONG).unwrap();
    }
    // The name of a thread is set by the thread itself, before its first job.
    drop(queue.turn().unwrap());
    assert_eq!(drivers(), 1);
    drop(queue);
    assert_eq!(drivers(), 0);
}

#[test]
fn a_turn_of_an_empty_queue_stays_on_its_thread() {
    let queue = RunQueue::new(1);
    let turn = queue.turn().unwrap();
    assert_eq!((queue.len(), queue.held_bytes()), (1, 0));
    assert!(!queue.shared.lock().has_driver());
    drop(turn);
    assert_eq!((queue.len(), queue.usage().len_high_water), (0, 1));
    assert_eq!(format!("{queue:?}").matches("limit_bytes: 1").count(), 1);
}
