//! Devices and processes side by side: nothing of one is the other's.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Barrier;
use std::thread;

use host_runner::device::DeviceUsage;
use host_runner::worker::{PlatformName, Worker};
use protocol::ChipName;
use tests::child;
use tests::workers::open_on;

use tests::prepared::{
    assert_47, cells_after, counted, on_both_chips, testimony, vector_add, witness,
};

/// The devices of one process.
fn pairs() -> [[PlatformName; 2]; 3] {
    use PlatformName::{A2a3Sim, A5Sim};
    [[A2a3Sim, A2a3Sim], [A5Sim, A5Sim], [A2a3Sim, A5Sim]]
}

/// Registers, runs and unregisters two callables by turns: one that the other device has, too, and
/// one of its own under the same id.
fn work(worker: &Worker, platform: PlatformName, number: u64, start: &Barrier) {
    let same = witness(platform.chip(), 90, "fill");
    let own = witness(platform.chip(), number, if number == 1 { "fill" } else { "fill_down" });
    for round in 0..8 {
        start.wait();
        let same_handle = worker.register(&same).unwrap();
        let own_handle = worker.register(&own).unwrap();
        assert_eq!((same_handle.id().index(), own_handle.id().index()), (0, 1));
        for run in 1..4 {
            assert_eq!(cells_after(worker, &same_handle)[0], testimony(90, run), "round {round}");
            let second = cells_after(worker, &own_handle)[1];
            let first = testimony(number, run);
            assert_eq!(second, if number == 1 { first + 1 } else { first - 1 }, "round {round}");
        }
        worker.unregister(&same_handle).unwrap();
        worker.unregister(&own_handle).unwrap();
    }
    assert_eq!(counted(worker), (16, 16, 16, 48));
    assert_eq!(worker.usage(), DeviceUsage::default());
}

#[test]
fn two_devices_of_one_process_run_the_same_and_other_callables_at_once() {
    for platforms in pairs() {
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for (platform, number) in platforms.into_iter().zip(1..) {
                let start = &start;
                scope.spawn(move || work(&open_on(platform), platform, number, start));
            }
        });
    }
}

#[test]
fn what_happens_to_one_device_is_not_seen_on_another() {
    on_both_chips(|worker, platform| {
        let callable = vector_add(platform);
        let handle = worker.register(&callable).unwrap();
        let (usage, report) = (worker.usage(), worker.memory_report());
        {
            let other = open_on(platform);
            let others = other.register(&callable).unwrap();
            assert!(other.counters().bytes_uploaded > 0, "the devices share no buffer");
            assert_47(&other, &others);
            other.unregister(&others).unwrap();
        }
        assert_eq!((worker.usage(), worker.memory_report()), (usage, report));
        assert_eq!(counted(worker), (1, 1, 0, 0));
        assert_47(worker, &handle);
    });
}

const PROCESSES: &str = "side_by_side::two_processes_run_the_same_callable_at_once";

/// What one of two processes does: it has the callable on its device, says so, and goes on when it
/// is told to.
fn be_one_of_two_processes() {
    let workers = PlatformName::SIMULATORS.iter().map(|platform| (open_on(*platform), *platform));
    let ready: Vec<_> = workers
        .map(|(worker, platform)| {
            let handle = worker.register(&witness(platform.chip(), 7, "fill")).unwrap();
            assert_eq!(cells_after(&worker, &handle)[0], testimony(7, 1));
            (worker, handle)
        })
        .collect();
    let places = loaded_files();
    println!("files: {}", places.join(" "));
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    for (worker, handle) in &ready {
        for run in 2..40 {
            assert_eq!(cells_after(worker, handle)[0], testimony(7, run));
        }
        worker.unregister(handle).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    }
}

/// Files that this process has mapped to run code from, apart from what programs come with.
fn loaded_files() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let executable = maps.lines().filter(|line| line.contains("r-xp"));
    let paths = executable.filter_map(|line| line.split_once('/').map(|(_, path)| path));
    let folders = ["tmp/", "var/tmp/", "dev/shm/", "run/"];
    // The tests themselves may have been built in such a place.
    let own = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let paths = paths.filter(|path| !own.ends_with(path));
    let temporary = paths.filter(|path| folders.iter().any(|folder| path.starts_with(folder)));
    temporary.map(str::to_owned).collect()
}

#[test]
fn two_processes_run_the_same_callable_at_once() {
    if child::is_child(PROCESSES) {
        return be_one_of_two_processes();
    }
    // Compiled once, here, and not by both of them.
    for chip in [ChipName::A2a3, ChipName::A5] {
        witness(chip, 7, "fill");
    }
    let mut processes = [(); 2].map(|()| child::start(PROCESSES));
    let mut outputs = processes.each_mut().map(|it| BufReader::new(it.stdout.take().unwrap()));
    for output in &mut outputs {
        let lines: Vec<_> =
            output.lines().map_while(Result::ok).take_while(|it| it != "ready").collect();
        assert!(lines.iter().any(|line| line.ends_with("files: ")), "no file names: {lines:?}");
    }
    // Both have it loaded now. One ends, the other one goes on.
    for (mut process, mut output) in processes.into_iter().zip(outputs) {
        process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let mut ended = process.wait_with_output().unwrap();
        ended.stdout = text.into_bytes();
        child::passed(PROCESSES, ended);
    }
}
