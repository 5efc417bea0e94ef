//! The daemon as whoever starts it sees it: what it does, and how each way to go wrong ends.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use stand_in::{Answer, Daemon, DaemonError, DeviceMemory, Ended, Machine, Request, Scope};

/// A limit that nothing reaches that works.
const LIMIT: Duration = Duration::from_secs(30);

/// What the daemon opens here: functions that do as they are called.
const SOURCE: &str = "\
#include <unistd.h>
#include <stdlib.h>
extern \"C\" int answer(void *argument) { return argument ? *(int *)argument : -5; }
extern \"C\" int count(void *argument) { return __atomic_fetch_add((int *)argument, 1, __ATOMIC_SEQ_CST); }
extern \"C\" int crash(void *) { *(volatile int *)16 = 1; return 0; }
extern \"C\" int give_up(void *) { abort(); }
extern \"C\" int leave(void *) { _exit(7); }
extern \"C\" int hang(void *) { for (;;) sleep(1); }
";

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;

/// Compiles [`SOURCE`] for a machine, once.
fn library(machine: Machine) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in-daemon");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    });
    static BUILT: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let built = &BUILT[usize::from(machine == Machine::Emulated)];
    let compile = || {
        let source = FOLDER.join(format!("{}.cpp", machine.processor()));
        std::fs::write(&source, SOURCE).unwrap();
        let library = source.with_extension("so");
        let mut compiler = Command::new(machine.cxx().unwrap_or("g++"));
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success());
        library
    };
    built.get_or_init(compile).clone()
}

/// Does `act` with a daemon on each machine that can be had here.
fn on_each(act: impl Fn(Daemon, &DeviceMemory)) {
    for machine in Machine::ALL {
        let memory = DeviceMemory::new(1 << 20).unwrap();
        match Daemon::start(machine, &memory) {
            Ok(daemon) => {
                daemon.open(&library(machine), Scope::Global, LIMIT).unwrap();
                act(daemon, &memory);
            }
            Err(DaemonError::NotHere(missing)) => println!("skipped: {missing}"),
            Err(error) => panic!("{machine:?}: {error}"),
        }
    }
}

fn begin(daemon: &Daemon, entry: &str) -> stand_in::Pending {
    let entry = entry.to_owned();
    daemon.begin(Request::Call { entry, argument: 0, threads: 1 }).unwrap()
}

#[test]
fn both_sides_see_the_same_memory_at_the_same_address() {
    on_each(|daemon, memory| {
        let place = memory.address() + memory.bytes() - 4;
        memory.write(place, &41_i32.to_le_bytes()).unwrap();
        assert_eq!(daemon.call("answer", place, 1, LIMIT).unwrap(), [41]);
        let mut each = daemon.call("count", place, 5, LIMIT).unwrap();
        each.sort_unstable();
        assert_eq!(each, [41, 42, 43, 44, 45]);
        assert_eq!(memory.read(place, 4).unwrap(), 46_i32.to_le_bytes());
        assert_eq!(daemon.call("answer", 0, 2, LIMIT).unwrap(), [-5, -5]);
    });
}

#[test]
fn a_crash_is_an_error_with_its_signal_for_everybody_who_waits() {
    for (entry, expected) in [
        ("crash", Ended::Signal(SIGSEGV)),
        ("give_up", Ended::Signal(SIGABRT)),
        ("leave", Ended::Code(7)),
    ] {
        on_each(|daemon, _| {
            let waits = begin(&daemon, "hang");
            for result in [begin(&daemon, entry).wait(LIMIT), waits.wait(LIMIT)] {
                let Err(DaemonError::Gone(ended)) = result else { panic!("{entry}: {result:?}") };
                assert_eq!(ended, expected, "{entry}");
            }
            assert_eq!(daemon.ended(), Some(expected));
            let later = daemon.call("answer", 0, 1, LIMIT).unwrap_err();
            assert!(matches!(later, DaemonError::Gone(ended) if ended == expected), "{later}");
        });
    }
}

#[test]
fn what_does_not_return_is_late_and_the_rest_goes_on_until_the_daemon_is_dropped() {
    on_each(|daemon, _| {
        let late = begin(&daemon, "hang").wait(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(&late, DaemonError::Late { what, .. } if what.contains("hang")), "{late}");
        assert_eq!(daemon.call("answer", 0, 1, LIMIT).unwrap(), [-5]);
        let process = PathBuf::from(format!("/proc/{}", daemon.process_id()));
        assert!(process.exists());
        drop(daemon);
        assert!(!process.exists(), "it has ended, and was waited for");
    });
}

#[test]
fn a_daemon_that_is_killed_is_gone() {
    on_each(|daemon, _| {
        let waits = begin(&daemon, "hang");
        daemon.kill();
        let gone = waits.wait(LIMIT).unwrap_err();
        assert!(matches!(gone, DaemonError::Gone(Ended::Signal(SIGKILL))), "{gone}");
    });
}

#[test]
fn what_cannot_be_done_is_refused_and_does_no_harm() {
    on_each(|daemon, _| {
        let refused = |result: Result<Vec<i32>, DaemonError>| match result {
            Err(DaemonError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(refused(daemon.call("no_such_entry", 0, 1, LIMIT)).contains("no_such_entry"));
        assert!(refused(daemon.call("answer", 0, 0, LIMIT)).contains("0 threads"));
        let missing = daemon.open(Path::new("/no/such.so"), Scope::Local, LIMIT).unwrap_err();
        assert!(missing.to_string().contains("/no/such.so"), "{missing}");
        assert_eq!(daemon.call("answer", 0, 1, LIMIT).unwrap(), [-5]);
        daemon.ask(Request::Close, LIMIT).unwrap();
        assert!(refused(daemon.call("answer", 0, 1, LIMIT)).contains("no image"));
        let stopped = daemon.begin(Request::StopCores).unwrap().wait(LIMIT).unwrap();
        assert_eq!(stopped, Answer::Done);
    });
}

/// The daemon of a process that is killed; it says in a file which process it is.
#[test]
fn it_ends_with_the_process_that_started_it() {
    const VARIABLE: &str = "STAND_IN_TELL_DAEMON";
    if let Some(file) = std::env::var_os(VARIABLE) {
        on_each(|daemon, _| {
            let waits = begin(&daemon, "hang");
            std::fs::write(&file, daemon.process_id().to_string()).unwrap();
            // Killed meanwhile.
            let _late = waits.wait(LIMIT);
        });
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("daemon-of-the-killed");
    let _none_is_there = std::fs::remove_file(&file);
    let test = "it_ends_with_the_process_that_started_it";
    let mut parent = Command::new(std::env::current_exe().unwrap());
    let mut parent = parent.args([test, "--exact"]).env(VARIABLE, &file).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let daemon = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Ok(number) = text.parse::<u32>() {
            break number;
        }
        assert!(Instant::now() < deadline, "it does not start");
        std::thread::sleep(Duration::from_millis(5));
    };
    parent.kill().unwrap();
    parent.wait().unwrap();
    let is_there = || match std::fs::read_to_string(format!("/proc/{daemon}/stat")) {
        // One that has ended and that nobody waits for yet.
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    };
    while is_there() {
        assert!(Instant::now() < deadline, "process {daemon} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}
