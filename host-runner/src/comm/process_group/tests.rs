//! Ranks that agree, that do not, that never come, and that are killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::PathBuf;
use std::{fs, thread};

use super::*;
use crate::child;

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(60);

/// A key that no other test, and no other run of this one, has.
fn key(name: &str) -> PathBuf {
    PathBuf::from(format!("{name} {} {:?}", std::process::id(), Instant::now()))
}

fn join(rank: u32, ranks: u32, key: &Path) -> ProcessGroup {
    ProcessGroup::join(rank, ranks, key, LONG).unwrap()
}

/// All ranks at once.
fn all(ranks: u32, key: &Path, act: impl Fn(ProcessGroup) + Sync) {
    thread::scope(|scope| {
        for rank in 0..ranks {
            let act = &act;
            scope.spawn(move || act(join(rank, ranks, key)));
        }
    });
}

fn is_there(key: &Path) -> bool {
    path_of(key).exists()
}

#[test]
fn ranks_reach_the_windows_of_all_and_leave_nothing() {
    let key = key("reach");
    // Under one key: each communicator begins with zeros.
    for ranks in [5, 1, 5, MAX_RANKS as u32] {
        all(ranks, &key, |mut group| {
            let rank = group.rank();
            let memory = Arc::clone(group.windows(100).unwrap());
            assert!(!is_there(&key), "the name is removed when all have joined");
            let mut cell = [9; 4];
            memory.own().copy_out(96, &mut cell).unwrap();
            assert_eq!(cell, [0; 4]);
            for round in 0..20 {
                let own = [rank as u8, round, 0, 1];
                memory.own().copy_in(96, &own).unwrap();
                group.barrier().unwrap();
                for (peer, window) in (0..).zip(&memory.windows) {
                    window.copy_out(96, &mut cell).unwrap();
                    assert_eq!(cell, [peer, round, 0, 1]);
                }
                group.barrier().unwrap();
            }
            assert_eq!((memory.rank(), memory.ranks(), memory.window_bytes()), (rank, ranks, 100));
            assert!(matches!(group.windows(100), Err(ProcessGroupError::HasWindows)));
            group.leave().unwrap();
        });
    }
    assert!(!is_there(&key));
}

#[test]
fn ranks_that_make_no_sense_are_refused() {
    let key = key("ranks");
    let refused = |rank, ranks| ProcessGroup::join(rank, ranks, &key, LONG).unwrap_err();
    assert!(matches!(refused(0, 0), ProcessGroupError::Ranks { ranks: 0 }));
    assert!(matches!(refused(0, 65), ProcessGroupError::Ranks { ranks: 65 }));
    assert!(matches!(refused(3, 3), ProcessGroupError::NoSuchRank { rank: 3, ranks: 3 }));
    assert!(!is_there(&key));
}

#[test]
fn ranks_that_disagree_are_told_and_the_others_go_on() {
    let key = key("disagree");
    let mut first = join(0, 2, &key);
    let other = ProcessGroup::join(1, 3, &key, LONG).unwrap_err();
    assert!(matches!(other, ProcessGroupError::OtherRanks { own: 3, theirs: 2 }), "{other}");
    let twin = ProcessGroup::join(0, 2, &key, LONG).unwrap_err();
    assert!(matches!(twin, ProcessGroupError::RankTaken { rank: 0 }), "{twin}");
    assert!(matches!(first.barrier(), Err(ProcessGroupError::NoWindows)));
    assert!(matches!(first.windows(0), Err(ProcessGroupError::EmptyWindow)));
    for bytes in [usize::MAX, 1 << 62] {
        assert!(first.windows(bytes).is_err(), "{bytes}");
    }
    let mut second = join(1, 2, &key);
    thread::scope(|scope| {
        let first = scope.spawn(|| first.windows(4096).map(|_| ()));
        while second.header.word(WINDOW_WORDS[0]).load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let other = second.windows(4095).unwrap_err();
        let text = "a window of 4095 bytes, but those of the other ranks have 4096";
        assert!(other.to_string().starts_with(text), "{other}");
        second.windows(4096).unwrap();
        first.join().unwrap().unwrap();
    });
}

#[test]
fn whoever_does_not_come_is_named_within_the_limit() {
    let key = key("late");
    let mut alone = ProcessGroup::join(1, 3, &key, SHORT).unwrap();
    let start = Instant::now();
    let late = alone.windows(64).unwrap_err();
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    let ProcessGroupError::Late { missing, .. } = &late else { panic!("{late}") };
    assert_eq!(*missing, [0, 2]);
    assert!(matches!(alone.windows(64), Err(ProcessGroupError::Broken)));
    assert!(is_there(&key));
    drop(alone);
    assert!(!is_there(&key), "the last one to leave tidies up");

    let groups: Vec<_> = (0..2).map(|rank| ProcessGroup::join(rank, 2, &key, SHORT)).collect();
    let mut groups: Vec<_> = groups.into_iter().map(Result::unwrap).collect();
    thread::scope(|scope| {
        for group in &mut groups {
            scope.spawn(|| group.windows(64).map(|_| ()).unwrap());
        }
    });
    let late = groups[1].barrier().unwrap_err();
    assert!(late.to_string().contains("a barrier, without ranks [0]"), "{late}");
    assert!(matches!(groups[1].barrier(), Err(ProcessGroupError::Broken)));
}

#[test]
fn a_rank_that_leaves_is_missed_in_a_barrier_also_while_its_windows_are_in_use() {
    let key = key("leaves");
    all(2, &key, |mut group| {
        let memory = Arc::clone(group.windows(64).unwrap());
        group.barrier().unwrap();
        if group.rank() == 0 {
            drop(group);
            // As a device does that may still write there.
            std::mem::forget(memory);
        } else {
            let lost = group.barrier().unwrap_err();
            assert!(matches!(lost, ProcessGroupError::RankLost { rank: 0 }), "{lost}");
        }
    });
}

#[test]
fn a_file_that_is_left_over_is_replaced_and_one_of_somebody_else_is_refused() {
    let key = key("stale");
    let path = path_of(&key);
    let write = |mode: u32| {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(mode).open(&path).unwrap();
        file.set_len(100).unwrap();
    };
    write(0o600);
    all(2, &key, |mut group| assert_eq!(group.windows(64).unwrap().ranks(), 2));
    assert!(!is_there(&key));
    write(0o644);
    let foreign = ProcessGroup::join(0, 1, &key, LONG).unwrap_err();
    assert!(matches!(foreign, ProcessGroupError::ForeignFile { .. }), "{foreign}");
    fs::remove_file(&path).unwrap();
    let target = tempfile::NamedTempFile::new().unwrap();
    symlink(target.path(), &path).unwrap();
    let foreign = ProcessGroup::join(0, 1, &key, LONG).unwrap_err();
    assert!(matches!(foreign, ProcessGroupError::ForeignFile { .. }), "{foreign}");
    assert_eq!(target.as_file().metadata().unwrap().len(), 0);
    fs::remove_file(&path).unwrap();
}

#[test]
fn another_version_is_refused_while_it_lives() {
    let key = key("version");
    let first = join(0, 2, &key);
    first.header.word(VERSION_WORD).store(VERSION + 1, Ordering::Relaxed);
    let other = ProcessGroup::join(1, 2, &key, LONG).unwrap_err();
    assert!(matches!(other, ProcessGroupError::OtherVersion { own: 1, theirs: 2 }), "{other}");
    first.header.word(0).store(0, Ordering::Relaxed);
    let other = ProcessGroup::join(1, 2, &key, LONG).unwrap_err();
    assert!(matches!(other, ProcessGroupError::OtherVersion { own: 1, theirs: 0 }), "{other}");
}

const KILLED: &str =
    "comm::process_group::tests::ranks_that_are_killed_are_missed_and_leave_nothing";
/// What a child does.
const PART: &str = "TESTS_PART";

fn be_a_rank(part: &str) {
    let key = Path::new("killed");
    match part {
        // Ends before anybody else comes.
        "early" => {
            let _group = join(0, 2, key);
            println!("\njoined");
            thread::sleep(LONG);
        }
        "first" => {
            let mut group = join(0, 2, key);
            group.windows(64).unwrap();
            println!("\njoined");
            thread::sleep(LONG);
        }
        _ => {
            let mut group = join(1, 2, key);
            group.windows(64).unwrap();
            let lost = group.barrier().unwrap_err();
            assert!(matches!(lost, ProcessGroupError::RankLost { rank: 0 }), "{lost}");
        }
    }
}

#[test]
fn ranks_that_are_killed_are_missed_and_leave_nothing() {
    if child::is_child(KILLED) {
        return be_a_rank(&std::env::var(PART).unwrap());
    }
    let start = |part: &str| child::command(KILLED).env(PART, part).spawn().unwrap();
    let kill = |mut process: std::process::Child| {
        let output = BufReader::new(process.stdout.as_mut().unwrap());
        assert!(output.lines().map_while(Result::ok).any(|line| line == "joined"));
        process.kill().unwrap();
        process.wait().unwrap();
    };
    let left = || {
        let own = format!("-{:08x}-", std::process::id());
        let names = fs::read_dir("/dev/shm").unwrap().map(|it| it.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(&own)).count()
    };
    kill(start("early"));
    assert_eq!(left(), 1, "a communicator that was not complete; the next one replaces it");
    let (first, mut second) = (start("first"), start("second"));
    kill(first);
    let mut text = Vec::new();
    second.stdout.take().unwrap().read_to_end(&mut text).unwrap();
    let mut ended = second.wait_with_output().unwrap();
    ended.stdout = text;
    child::passed(KILLED, ended);
    assert_eq!(left(), 0);
}
