//! A device that is lost to something else while an entry works with it: nothing that the entry has done,
//! so it is called again for a fresh device.

use std::sync::PoisonError;

use host_runner::host_orchestration::{BuildError, CallFault};
use host_runner::run::RunError;
use tests::script::{At, Script};
use tests::spied_device::{Opened, open_worker};

use super::setting::{COUNT, HOST, Stand};

fn lose_last(opened: &Opened) {
    let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
    opened.last().unwrap().lose();
}

#[test]
fn an_entry_that_finds_its_device_gone_is_called_again_for_a_fresh_one() {
    let (worker, opened) = open_worker();
    let stand = Stand::of(worker);
    // Before any run, the first to find out is a device_malloc; later, with memory that is kept, a copy.
    lose_last(&opened);
    stand.assert_works(1);
    assert_eq!(stand.worker.losses(), 1);
    stand.assert_works(2);
    lose_last(&opened);
    stand.assert_works(3);
    assert_eq!((stand.worker.losses(), opened.lock().unwrap().len()), (2, 3));
    let counters = stand.worker.counters();
    assert_eq!((counters.runs, counters.failed_runs), (3, 0));
    assert_eq!(counters.host_dlopen_count, 1, "the orchestration stays open");
}

#[test]
fn what_an_entry_names_of_a_device_that_is_gone_is_not_there_on_the_fresh_one() {
    let (worker, opened) = open_worker();
    let stand = Stand::of(worker);
    let users = stand.worker.allocate(64).unwrap();
    lose_last(&opened);
    let script = Script::new().record(HOST, At::Word(users.raw()), 8);
    match stand.play(&script, &mut [7; COUNT as usize]).result {
        Err(RunError::Build(BuildError::Call(call))) => {
            assert!(matches!(call.cause, CallFault::DeviceRange { .. }), "{call}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stand.worker.losses(), 1);
    stand.assert_works(1);
}
