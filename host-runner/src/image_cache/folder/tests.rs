//! What the folder and its files may be, and what they may not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use super::*;

const LIMIT: u64 = 1000;

/// A folder of our own below a temporary one.
fn folder() -> (tempfile::TempDir, PrivateFolder) {
    let parent = tempfile::tempdir().unwrap();
    let folder = PrivateFolder::create(&parent.path().join("above/images")).unwrap();
    (parent, folder)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Dates a file, so that it was used so many seconds ago.
fn used(path: &Path, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn names(folder: &PrivateFolder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn folder_and_files_are_for_their_owner_alone_and_files_are_replaced_whole() {
    let (_parent, folder) = folder();
    assert_eq!(folder.read("a", LIMIT), Ok(None));
    folder.write("a", b"one").unwrap();
    folder.write("a", b"another").unwrap();
    assert_eq!(folder.read("a", LIMIT), Ok(Some(b"another".to_vec())));
    assert_eq!((mode(folder.path()), mode(&folder.path().join("a"))), (0o700, 0o600));
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn a_folder_that_others_may_write_to_is_refused_at_once_and_later() {
    let (_parent, folder) = folder();
    folder.write("a", b"one").unwrap();
    for open in [0o720, 0o702, 0o777] {
        set_mode(folder.path(), open);
        let refused = PrivateFolder::create(folder.path());
        assert!(matches!(refused, Err(FolderError::OthersMayWrite { mode, .. }) if mode == open));
        assert_eq!(folder.read("a", LIMIT), Ok(None));
        assert!(folder.write("b", b"two").is_err());
        assert_eq!(folder.shrink(0), 0);
    }
    set_mode(folder.path(), 0o755);
    assert_eq!(folder.read("a", LIMIT), Ok(Some(b"one".to_vec())));
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn a_folder_or_a_file_of_somebody_else_is_refused() {
    let (_parent, own) = folder();
    own.write("a", b"one").unwrap();
    let foreign = PrivateFolder { path: own.path.clone(), owner: own.owner + 1 };
    let refused = foreign.open();
    assert!(matches!(refused, Err(FolderError::ForeignOwner { .. })), "{refused:?}");
    assert_eq!(foreign.read("a", LIMIT), Ok(None));
    if own.owner == 0 {
        // Only the superuser can give a file away.
        let path = own.path().join("a");
        std::os::unix::fs::chown(path, Some(12345), None).unwrap();
        let refused = own.read("a", LIMIT);
        assert_eq!(refused, Err(EntryError::NotPrivate { owner: 12345, mode: 0o600 }));
    }
}

#[test]
fn what_is_no_private_file_of_a_fitting_size_is_refused_and_replaced() {
    let (parent, folder) = folder();
    let path = folder.path().join("a");
    let outside = parent.path().join("outside");
    fs::write(&outside, b"code").unwrap();

    symlink(&outside, &path).unwrap();
    assert_eq!(folder.read("a", LIMIT), Err(EntryError::NotAFile));
    folder.write("a", b"one").unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"code", "a link is replaced, not written through");
    assert_eq!(folder.read("a", LIMIT), Ok(Some(b"one".to_vec())));

    for open in [0o620, 0o602] {
        set_mode(&path, open);
        let Err(EntryError::NotPrivate { mode, .. }) = folder.read("a", LIMIT) else {
            panic!("mode {open:o}")
        };
        assert_eq!(mode, open);
    }
    folder.write("a", b"one").unwrap();
    assert_eq!(folder.read("a", 3), Ok(Some(b"one".to_vec())));
    assert_eq!(folder.read("a", 2), Err(EntryError::TooLarge { bytes: 3, limit: 2 }));

    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    // A pipe without a writer would keep a reader for good.
    assert_eq!(folder.read("a", LIMIT), Err(EntryError::NotAFile));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(folder.read("a", LIMIT), Err(EntryError::NotAFile));
    // A folder is the one thing that is not replaced; nothing is left of the attempt.
    assert!(folder.write("a", b"one").is_err());
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn a_folder_that_is_a_link_is_refused() {
    let (parent, folder) = folder();
    let link = parent.path().join("link");
    symlink(folder.path(), &link).unwrap();
    assert!(matches!(PrivateFolder::create(&link), Err(FolderError::System { .. })));
}

#[test]
fn a_folder_that_vanishes_is_empty_and_is_made_again() {
    let (_parent, folder) = folder();
    folder.write("a", b"one").unwrap();
    fs::remove_dir_all(folder.path().parent().unwrap()).unwrap();
    assert_eq!((folder.read("a", LIMIT), folder.shrink(0)), (Ok(None), 0));
    folder.write("a", b"one").unwrap();
    assert_eq!(folder.read("a", LIMIT), Ok(Some(b"one".to_vec())));
    assert_eq!(mode(folder.path()), 0o700);
    // With a file in its place there is nothing to be done.
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), "").unwrap();
    assert_eq!(folder.read("a", LIMIT), Ok(None));
    assert!(folder.write("a", b"one").is_err());
}

#[test]
fn a_folder_that_cannot_be_written_can_be_read() {
    // Of this user, not writable by others, and even the superuser makes no file there.
    let path = PathBuf::from(format!("/proc/{}", std::process::id()));
    let folder = PrivateFolder::create(&path).unwrap();
    assert!(folder.write("entry", b"one").is_err());
    assert_eq!(folder.read("entry", LIMIT), Ok(None));
    assert_eq!(folder.shrink(0), 0);
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let (_parent, folder) = folder();
    for (name, age) in [("a", 40), ("b", 30), ("c", 20), ("d", 10)] {
        folder.write(name, &[0; 100]).unwrap();
        used(&folder.path().join(name), age);
    }
    assert_eq!(folder.shrink(400), 0);
    // Reading is using.
    folder.read("a", LIMIT).unwrap().unwrap();
    assert_eq!(folder.shrink(399), 1);
    assert_eq!(names(&folder), ["a", "c", "d"]);
    assert_eq!(folder.shrink(100), 2);
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn what_a_writer_left_unfinished_goes_after_an_hour() {
    let (_parent, folder) = folder();
    for (name, age) in [(".writing-1-0", 3700), (".writing-2-0", 3500)] {
        let path = folder.path().join(name);
        fs::write(&path, [0; 100]).unwrap();
        used(&path, age);
    }
    folder.write("a", &[0; 100]).unwrap();
    assert_eq!(folder.shrink(100), 0);
    assert_eq!(names(&folder), [".writing-2-0", "a"]);
}
