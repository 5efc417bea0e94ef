//! Entries of every kind of damage, several caches in one folder, and what is counted.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use super::entry::{FORMAT, HEADER_BYTES};
use super::*;
use crate::source_file::{FileStamp, SourceFile};

/// A small verdict that has everything.
fn verdict() -> PlannedImage {
    PlannedImage {
        entry: 0x1234,
        span: 0x9000,
        build_id: Some(vec![7; 20]),
        imports: vec![
            PlannedImport {
                name: b"memcpy".to_vec(),
                weak: false,
                version: Some(b"GLIBC_2.14".to_vec()),
            },
            PlannedImport { name: b"optional".to_vec(), weak: true, version: None },
        ],
    }
}

/// A small build that has everything.
fn build() -> KeptBuild {
    let file = |path: &str, is_settled| SourceFile {
        path: path.into(),
        digest: [9; 32],
        stamp: FileStamp { identity: [1, 2, u64::MAX], times: [3, 4, -5, i64::MIN] },
        is_settled,
    };
    let files = vec![file("/a/source.cpp", true), file("/a/with\u{ff} space.h", false)];
    KeptBuild { files, planned: Some(verdict()), blob: b"a packed callable".to_vec() }
}

const IMAGE: &[u8] = b"an image";
const ENTRY: &str = "entry";

/// A folder with one cache open in it.
fn cache() -> (tempfile::TempDir, ImageCache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = again(&folder);
    (folder, cache)
}

/// The cache of another process, as far as memory goes.
fn again(folder: &tempfile::TempDir) -> ImageCache {
    ImageCache::open(&folder.path().join("images")).unwrap()
}

/// Asks for the verdict on `IMAGE`; returns whether it had to be planned.
fn ask(cache: &ImageCache) -> bool {
    let mut was_planned = false;
    let planned = cache.planned(IMAGE, ENTRY, || {
        was_planned = true;
        Ok::<_, Infallible>(verdict())
    });
    assert_eq!(*planned.unwrap(), verdict());
    was_planned
}

/// Where the only entry is.
fn entry_path(folder: &tempfile::TempDir) -> PathBuf {
    let mut entries = fs::read_dir(folder.path().join("images")).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    path
}

#[test]
fn a_second_process_does_not_plan_and_the_first_plans_once() {
    let (folder, first) = cache();
    assert!(ask(&first));
    assert!(!ask(&first));
    let counted = CacheCounters { hits: 1, misses: 1, written: 1, plans: 1, ..Default::default() };
    assert_eq!(first.counters(), counted);
    let second = again(&folder);
    assert!(!ask(&second) && !ask(&second));
    assert_eq!(second.counters(), CacheCounters { hits: 2, ..Default::default() });
}

#[test]
fn other_bytes_another_entry_and_another_loader_are_planned_anew() {
    let (folder, first) = cache();
    ask(&first);
    let mut second = again(&folder);
    let mut plans = 0;
    for (image, entry) in [(&b"an imagf"[..], ENTRY), (IMAGE, "other"), (b"an imageentry", "")] {
        let plan = || Ok::<_, Infallible>(PlannedImage::default());
        assert_eq!(*second.planned(image, entry, plan).unwrap(), PlannedImage::default());
        plans += 1;
        assert_eq!(second.counters().plans, plans);
    }
    second.planner.push_str(", later");
    second.recent_images().clear();
    assert!(ask(&second));
    assert_eq!(second.counters().corrupt, 0);
    assert!(!ask(&again(&folder)), "the entry of this loader is still there");
}

#[test]
fn a_refusal_is_told_each_time_and_not_kept() {
    let (folder, cache) = cache();
    for _ in 0..2 {
        assert_eq!(cache.planned(IMAGE, ENTRY, || Err("refused")).unwrap_err(), "refused");
    }
    let counters = cache.counters();
    assert_eq!((counters.plans, counters.misses, counters.written), (2, 2, 0));
    assert_eq!(fs::read_dir(folder.path().join("images")).unwrap().count(), 0);
}

#[test]
fn both_kinds_of_payload_are_read_as_written_and_no_part_of_one_is() {
    let (planned, built) = (verdict().payload(), build().payload());
    assert_eq!(PlannedImage::of_payload(&planned), Ok(verdict()));
    assert_eq!(KeptBuild::of_payload(&built), Ok(build()));
    for length in 0..planned.len() {
        let refused = PlannedImage::of_payload(&planned[..length]);
        assert!(matches!(refused, Err(EntryError::Truncated { .. })), "{length}: {refused:?}");
    }
    for length in 0..built.len() {
        let refused = KeptBuild::of_payload(&built[..length]);
        assert!(matches!(refused, Err(EntryError::Truncated { .. })), "{length}: {refused:?}");
    }
    let unplanned = KeptBuild { planned: None, ..build() };
    assert_eq!(KeptBuild::of_payload(&unplanned.payload()), Ok(unplanned));
    let longer = [&built[..], &[0; 3]].concat();
    assert_eq!(KeptBuild::of_payload(&longer), Err(EntryError::Trailing { bytes: 3 }));
}

#[test]
fn a_number_that_announces_more_than_there_is_costs_nothing() {
    let mut endless = vec![0; 16];
    endless.push(0);
    endless.extend_from_slice(&u64::MAX.to_le_bytes());
    let truncated = |part| EntryError::Truncated { part };
    assert_eq!(PlannedImage::of_payload(&endless), Err(truncated("import")));
    assert_eq!(KeptBuild::of_payload(&u64::MAX.to_le_bytes()), Err(truncated("file")));
    let mut odd = verdict().payload();
    odd[16] = 2;
    assert_eq!(PlannedImage::of_payload(&odd), Err(EntryError::Value { part: "Build-ID" }));
    let mut odd = KeptBuild { files: Vec::new(), ..build() }.payload();
    odd[8] = 2;
    assert_eq!(KeptBuild::of_payload(&odd), Err(EntryError::Value { part: "verdict" }));
}

#[test]
fn every_changed_byte_every_length_and_every_wrong_place_is_noticed() {
    let key = [3; 32];
    for (kind, payload) in [(Kind::Planned, verdict().payload()), (Kind::Build, build().payload())]
    {
        let entry = entry::framed(kind, &key, &payload);
        assert_eq!(entry.len(), HEADER_BYTES + payload.len());
        assert_eq!(entry::payload(kind, &key, &entry), Ok(&payload[..]));
        for at in 0..entry.len() {
            for bit in 0..8 {
                let mut changed = entry.clone();
                changed[at] ^= 1 << bit;
                let refused = entry::payload(kind, &key, &changed).unwrap_err();
                match at {
                    0..8 => assert_eq!(refused, EntryError::Magic),
                    8..12 => assert!(matches!(refused, EntryError::Format { want: FORMAT, .. })),
                    12..HEADER_BYTES => assert_eq!(refused, EntryError::Digest { part: "header" }),
                    _ => assert_eq!(refused, EntryError::Digest { part: "payload" }),
                }
            }
        }
        for length in 0..entry.len() {
            let part = if length < HEADER_BYTES { "header" } else { "payload" };
            let refused = entry::payload(kind, &key, &entry[..length]);
            assert_eq!(refused, Err(EntryError::Truncated { part }));
        }
        let longer = [&entry[..], b"x"].concat();
        assert_eq!(entry::payload(kind, &key, &longer), Err(EntryError::Trailing { bytes: 1 }));
        assert_eq!(entry::payload(kind, &[4; 32], &entry), Err(EntryError::Misplaced));
    }
    let entry = entry::framed(Kind::Planned, &key, &build().payload());
    assert_eq!(entry::payload(Kind::Build, &key, &entry), Err(EntryError::Misplaced));
}

#[test]
fn a_damaged_entry_is_counted_planned_anew_and_put_right() {
    let (folder, first) = cache();
    ask(&first);
    let path = entry_path(&folder);
    let good = fs::read(&path).unwrap();
    // As small as an entry gets: each byte of it in turn, on the disk.
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x40;
        fs::write(&path, changed).unwrap();
        let cache = again(&folder);
        assert!(ask(&cache), "byte {at}");
        let counted =
            CacheCounters { misses: 1, corrupt: 1, written: 1, plans: 1, ..Default::default() };
        assert_eq!(cache.counters(), counted, "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), good, "byte {at}");
    }
    for damage in [&b""[..], b"x", &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
        fs::write(&path, damage).unwrap();
        let cache = again(&folder);
        assert!(ask(&cache));
        assert_eq!((cache.counters().corrupt, cache.counters().written), (1, 1));
    }
    assert!(!ask(&again(&folder)));
}

#[test]
fn a_good_entry_under_another_name_is_noticed() {
    let (folder, first) = cache();
    ask(&first);
    let verdict_path = entry_path(&folder);
    let other = [5; 32];
    let name = ImageCache::name(Kind::Planned, &other);
    fs::rename(verdict_path, folder.path().join("images").join(name)).unwrap();
    let cache = again(&folder);
    assert_eq!(cache.find(Kind::Planned, &other, PlannedImage::of_payload), None);
    assert_eq!(cache.counters().corrupt, 1);
}

#[test]
fn a_build_is_found_until_its_reader_says_that_it_does_not_hold_any_more() {
    let (folder, first) = cache();
    let key = first.key(&[b"a manifest"]);
    first.keep_build(&key, &build());
    let cache = again(&folder);
    assert_eq!(cache.find_build(&key, |build| Ok(Some(build))), Some(build()));
    assert_eq!(cache.find_build(&key, |_| Ok(None::<()>)), None);
    let wrong = |_| Err::<Option<()>, _>(EntryError::Value { part: "callable" });
    assert_eq!(cache.find_build(&key, wrong), None);
    assert_eq!(cache.find_build(&cache.key(&[b"other"]), |build| Ok(Some(build))), None);
    let counted = CacheCounters { hits: 1, misses: 3, corrupt: 1, ..Default::default() };
    assert_eq!(cache.counters(), counted);
}

#[test]
fn a_folder_that_vanishes_or_cannot_be_written_costs_nothing_but_time() {
    let (folder, first) = cache();
    ask(&first);
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    first.recent_images().clear();
    assert!(ask(&first));
    assert!(!ask(&again(&folder)), "it was made and written again");

    let path = PathBuf::from(format!("/proc/{}", std::process::id()));
    let unwritable = ImageCache::open(&path).unwrap();
    assert!(ask(&unwritable));
    let counted = CacheCounters { misses: 1, plans: 1, ..Default::default() };
    assert_eq!(unwritable.counters(), counted);
}

#[test]
fn the_limit_holds_for_the_folder_and_for_one_entry() {
    let (folder, cache) = cache();
    let size = (HEADER_BYTES + verdict().payload().len()) as u64;
    let cache = cache.with_limit(3 * size);
    for index in 0..5_u8 {
        cache.planned(&[index], ENTRY, || Ok::<_, Infallible>(verdict())).unwrap();
    }
    assert_eq!((cache.counters().written, cache.counters().evicted), (5, 2));
    assert_eq!(fs::read_dir(folder.path().join("images")).unwrap().count(), 3);
    let tight = again(&folder).with_limit(size - 1);
    assert!(ask(&tight));
    assert_eq!((tight.counters().written, tight.counters().evicted), (0, 0));
}

#[test]
fn memory_holds_so_many_images_and_no_huge_ones() {
    let (_folder, cache) = cache();
    for index in 0..40_u8 {
        cache.remember(&[index], ENTRY, verdict());
    }
    cache.remember(&vec![0; RECENT_IMAGE_BYTES + 1], ENTRY, verdict());
    let recent = cache.recent_images();
    let images: Vec<u8> = recent.iter().map(|each| each.image[0]).collect();
    assert!(images.iter().copied().eq((24..40).rev()), "{images:?}");
}

#[test]
fn writers_and_readers_at_once_see_whole_entries() {
    let (folder, _) = cache();
    let planned = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50_u8 {
                    let cache = again(&folder);
                    if ask(&cache) {
                        planned.fetch_add(1, Ordering::Relaxed);
                    }
                    let key = cache.key(&[&[round % 3]]);
                    cache.keep_build(&key, &build());
                    let found = cache.find_build(&key, |build| Ok(Some(build)));
                    assert_eq!(found, Some(build()));
                    assert_eq!(cache.counters().corrupt, 0);
                }
            });
        }
    });
    assert!((1..=4).contains(&planned.load(Ordering::Relaxed)));
    let names = fs::read_dir(folder.path().join("images")).unwrap();
    assert_eq!(names.count(), 4, "nothing unfinished is left");
}
