//! Cores that stay up between runs, and when they do not.

use super::*;
use crate::testing::graph::ENDLESS;

/// Clusters of the devices.
const CLUSTERS: usize = 2;

/// Seed of a device whose cores stay up.
const STAY: u64 = 1;
/// Seed of one whose cores leave.
const LEAVE: u64 = 2;

/// How often the device has brought its cores up.
fn bring_ups(device: &Device<A2a3>) -> u32 {
    // SAFETY: no run is under way.
    unsafe { (*device.executor.cores.get()).bring_ups() }
}

#[test]
fn cores_stay_up_between_runs_of_any_number_of_threads_if_the_platform_leaves_them() {
    let graph = TestGraph::new(9, &[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5)]);
    for (seed, expected, have_left) in [(STAY, 1, false), (LEAVE, 30, true)] {
        let mut device = device::<A2a3>(CLUSTERS, seed);
        let mut uploaded = Uploaded::new(&graph, 1);
        for run in 0..30 {
            run_well(&mut device, &graph, &mut uploaded, 1 + run % 4, &[]);
        }
        assert_eq!(bring_ups(&device), expected);
        assert_eq!(device.idled() == 3 * CLUSTERS, have_left);
    }
}

#[test]
fn after_a_run_that_failed_all_cores_have_left_and_come_up_again() {
    let mut graph = TestGraph::new(6, &[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]);
    let mut device = device::<A2a3>(CLUSTERS, STAY);
    graph.func_ids[4] = ENDLESS;
    let hanging = Uploaded::new(&graph, 1);
    graph.func_ids[4] = 0;
    let mut good = Uploaded::new(&graph, 2);
    for round in 1..=3 {
        run_well(&mut device, &graph, &mut good, 2, &[]);
        run_well(&mut device, &graph, &mut good, 1, &[]);
        assert_eq!(bring_ups(&device), round);
        let ended = run_with(&mut device, &hanging, 2, &[], |body| {
            body.extension.stall_timeout_us = 60_000;
        });
        assert_eq!(ended, -StatusCode::SchedulerTimeout.code());
        device.given();
        assert!(device.fault().is_some());
    }
}
