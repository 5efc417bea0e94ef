//! Rings that are too small: reported at once where no wait can end, waited for where one can.

use protocol::{ArgTag, ScopeMode, StatusCode};

use super::{mix, set};
use crate::testing::Machine;
use crate::testing::submission::{Submission, external, view};

#[test]
fn a_scope_that_holds_every_slot_is_reported_at_once_with_the_size_that_would_do() {
    let mut buffer = std::vec![0; 1];
    let outcome = Machine { window: 4, ..Machine::default() }.run(&[set], |session| {
        for _ in 0..4 {
            let tensor = external(&mut buffer, &[1]);
            Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(1).submit(session);
        }
    });
    assert_eq!(outcome.code(), StatusCode::ScopeDeadlock.code());
    let text = outcome.fault.unwrap().text;
    assert!(text.contains("PTO2_RING_TASK_WINDOW to 8"), "{text}");
    // A proof waits for nobody: not even the first task has run.
    assert_eq!(buffer, [0]);
}

#[test]
fn output_memory_held_by_an_open_scope_is_reported_and_freed_memory_is_used_again() {
    let machine = Machine { heap_bytes: 4096, ..Machine::default() };
    let held = machine.run(&[mix], |session| {
        for _ in 0..3 {
            Submission::aiv(0).create(&[512], None).scalar(0).scalar(1).submit(session);
        }
    });
    assert_eq!(held.code(), StatusCode::HeapRingDeadlock.code());
    let too_large = machine.run(&[mix], |session| {
        Submission::aiv(0).create(&[1025], None).scalar(0).scalar(1).submit(session);
    });
    assert_eq!(too_large.code(), StatusCode::HeapRingDeadlock.code());
    // More than any power of two of 64 bits holds.
    let huge = machine.run(&[mix], |session| {
        let task = Submission::aiv(0).create(&[1 << 31, 1 << 30], None);
        task.create(&[1 << 31, 1 << 29], None).scalar(0).scalar(1).submit(session);
    });
    assert_eq!(huge.code(), StatusCode::HeapRingDeadlock.code());
    let freed = machine.run(&[mix], |session| {
        for _ in 0..50 {
            session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
            Submission::aiv(0).create(&[512], Some(1)).scalar(0).scalar(1).submit(session);
            session.orchestrator.scope_end(session.services).unwrap();
        }
    });
    assert_eq!((freed.code(), freed.tasks), (0, 50));
}

#[test]
fn edges_and_map_entries_held_by_an_open_scope_are_reported() {
    let mut buffer = std::vec![0; 64];
    let edges = Machine { edges: 4, window: 64, ..Machine::default() }.run(&[set], |session| {
        for part in 0..8 {
            let whole = external(&mut buffer, &[64]);
            let tensor = view(&whole, &[1], &[part]);
            Submission::aiv(0).tensor(ArgTag::InOut, tensor).scalar(1).submit(session);
        }
        let whole = external(&mut buffer, &[64]);
        Submission::aiv(0).tensor(ArgTag::InOut, whole).scalar(1).submit(session);
    });
    assert_eq!(edges.code(), StatusCode::DepPoolOverflow.code());
    let entries = Machine { map_entries: 32, ..Machine::default() }.run(&[set], |session| {
        for _ in 0..3 {
            let mut task = Submission::aiv(0);
            for part in 0..16 {
                let whole = external(&mut buffer, &[64]);
                task = task.tensor(ArgTag::OutputExisting, view(&whole, &[1], &[part]));
            }
            task.scalar(1).submit(session);
        }
    });
    assert_eq!(entries.code(), StatusCode::DependencyOverflow.code());
}

/// Who waits for an edge has not kept the task that it is for: that one may be what gives edges back.
#[test]
fn a_task_whose_producer_holds_all_edges_waits_for_it_to_retire() {
    let (mut parts, mut state) = (std::vec![0; 4], std::vec![0; 1]);
    let machine = Machine { edges: 4, window: 16, ..Machine::default() };
    let outcome = machine.run(&[set], |session| {
        let whole = external(&mut parts, &[4]);
        let part = |index| view(&whole, &[1], &[index]);
        for index in 0..4 {
            let task = Submission::aiv(0).tensor(ArgTag::OutputExisting, part(index));
            task.scalar(1).submit(session);
        }
        let state = external(&mut state, &[1]);
        for turn in 0..8 {
            session.orchestrator.scope_begin(session.services, ScopeMode::Auto).unwrap();
            let mut task = Submission::aiv(0).tensor(ArgTag::InOut, state);
            for index in (0..4).filter(|_| turn == 0) {
                task = task.tensor(ArgTag::Input, part(index));
            }
            assert!(task.scalar(1).submit(session).task_id.is_valid(), "turn {turn}");
            session.orchestrator.scope_end(session.services).unwrap();
        }
    });
    assert_eq!((outcome.code(), outcome.tasks), (0, 12), "{:?}", outcome.fault);
}

#[test]
fn a_full_tensor_map_names_a_window_that_brings_more_entries() {
    // 65536 entries come with every window up to 16384, so twice the window would change nothing.
    let mut buffer = std::vec![0; 16];
    let outcome = Machine { window: 8192, ..Machine::default() }.run(&[set], |session| {
        let whole = external(&mut buffer, &[16]);
        let written = |part| view(&whole, &[1], &[part]);
        let task = (0..16).fold(Submission::aiv(0), |task, part| {
            task.tensor(ArgTag::OutputExisting, written(part))
        });
        let task = task.scalar(1);
        for _ in 0..65536 / 16 {
            assert!(task.submit(session).task_id.is_valid());
        }
        assert!(!task.submit(session).task_id.is_valid());
    });
    assert_eq!(outcome.code(), StatusCode::DependencyOverflow.code());
    let text = outcome.fault.unwrap().text;
    assert!(text.contains("65536 written regions"), "{text}");
    assert!(text.contains("PTO2_RING_TASK_WINDOW to 32768 or more"), "{text}");
}
