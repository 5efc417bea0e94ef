//! Code is loaded from memory (spec callable §7.2): there is no file that somebody could put in the
//! way, change, or find afterwards. What the executor does where the system allows no other way than
//! files is tested with its slots.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use host_runner::worker::{CallableHandle, Worker};
use tests::child;
use tests::prepared::{cells_after, on_both_chips, testimony, witness};
use tests::process::leftovers;

/// Where implementations of this path put files.
const FOLDERS: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/usr/lib64", "."];

/// Names by which the reference unpacks code for this process (spec callable §5.3).
fn predictable_names() -> Vec<String> {
    let pid = std::process::id();
    let with_id = (0..3).map(|id| format!("libdevice_orch_{pid}_{id}.so"));
    with_id.chain([format!("libdevice_orch_{pid}.so")]).collect()
}

/// Files that go away with the test.
struct Planted(Vec<PathBuf>);

impl Planted {
    /// Puts something under each of the names, wherever that is allowed.
    fn new(plant: impl Fn(&Path) -> std::io::Result<()>) -> Self {
        let paths = FOLDERS.iter().flat_map(|folder| {
            predictable_names().into_iter().map(|name| Path::new(folder).join(name))
        });
        let planted: Vec<_> = paths.filter(|path| plant(path).is_ok()).collect();
        assert!(planted.len() >= 4, "one folder at least can be written to: {planted:?}");
        Self(planted)
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        for path in &self.0 {
            let _may_be_gone = fs::remove_file(path);
        }
    }
}

/// Three callables of one Build-ID, registered and run.
fn use_callables(worker: &Worker, chip: protocol::ChipName) -> Vec<CallableHandle> {
    let handles: Vec<_> =
        (1..4).map(|number| worker.register(&witness(chip, number, "fill")).unwrap()).collect();
    for (handle, number) in handles.iter().zip(1..) {
        assert_eq!(cells_after(worker, handle)[0], testimony(number, 1));
    }
    handles
}

#[test]
fn s2_links_under_predictable_names_are_not_followed() {
    // Alone, so that no other test uses the names.
    child::alone("files::s2_links_under_predictable_names_are_not_followed", || {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "somebody's").unwrap();
        let planted = Planted::new(|path| symlink(&victim, path));
        on_both_chips(|worker, platform| drop(use_callables(worker, platform.chip())));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "somebody's");
        for path in &planted.0 {
            assert_eq!(fs::read_link(path).unwrap(), victim, "{path:?}");
        }
    });
}

#[test]
fn s5_files_of_others_under_predictable_names_are_neither_changed_nor_deleted() {
    let test = "files::s5_files_of_others_under_predictable_names_are_neither_changed_nor_deleted";
    child::alone(test, || {
        let planted = Planted::new(|path| {
            let mut file = fs::File::create_new(path)?;
            std::io::Write::write_all(&mut file, b"somebody's")
        });
        on_both_chips(|worker, platform| {
            for handle in use_callables(worker, platform.chip()) {
                worker.unregister(&handle).unwrap();
            }
        });
        for path in &planted.0 {
            assert_eq!(fs::read_to_string(path).unwrap(), "somebody's", "{path:?}");
        }
    });
}

/// Whether a path is in a place for temporary files.
fn is_temporary(path: &str) -> bool {
    let folders = ["/tmp", "/var/tmp", "/dev/shm", "/run"];
    // The tests themselves may have been built in such a place.
    let is_ours = std::env::current_exe()
        .is_ok_and(|own| own.parent().is_some_and(|own| Path::new(path).starts_with(own)));
    !is_ours && folders.iter().any(|folder| Path::new(path).starts_with(folder))
}

/// No file means no folder that has to allow programs, and none that is littered.
#[test]
fn s4_loaded_code_is_in_no_file_of_any_folder() {
    let before = leftovers();
    on_both_chips(|worker, platform| {
        let handles = use_callables(worker, platform.chip());
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mapped = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
        assert_eq!(mapped.filter(|path| is_temporary(path)).collect::<Vec<_>>(), [""; 0]);
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        let open = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        let open = open.map(|path| path.to_string_lossy().into_owned());
        let code = |path: &String| is_temporary(path) && path.contains(".so");
        assert_eq!(open.filter(code).collect::<Vec<_>>(), [""; 0]);
        assert!(leftovers().is_subset(&before), "files while {handles:?} are loaded");
    });
}

const KILLED: &str = "files::s8_a_process_that_is_killed_leaves_no_file";

#[test]
fn s8_a_process_that_is_killed_leaves_no_file() {
    if child::is_child(KILLED) {
        on_both_chips(|worker, platform| {
            let _handles = use_callables(worker, platform.chip());
            println!("loaded");
            if platform == host_runner::worker::PlatformName::A5Sim {
                // Until somebody ends this process.
                std::io::stdin().read_line(&mut String::new()).unwrap();
            }
        });
        return;
    }
    // Compiled here, so that the process that is killed does nothing but use them.
    for chip in [protocol::ChipName::A2a3, protocol::ChipName::A5] {
        (1..4).for_each(|number| drop(witness(chip, number, "fill")));
    }
    let before = leftovers();
    let mut process = child::start(KILLED);
    let output = BufReader::new(process.stdout.take().unwrap());
    let loaded = output.lines().map_while(Result::ok).filter(|line| line.ends_with("loaded"));
    assert_eq!(loaded.take(2).count(), 2);
    let pid = process.id().to_string();
    process.kill().unwrap();
    process.wait().unwrap();
    let left: Vec<_> = leftovers().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    // Whatever else it may have called a file.
    let files = FOLDERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let names =
        files.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let of_process = |name: &String| name.split(|c: char| !c.is_ascii_digit()).any(|it| it == pid);
    assert_eq!(names.filter(of_process).collect::<Vec<_>>(), [""; 0]);
}
