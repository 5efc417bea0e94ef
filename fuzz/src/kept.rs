//! The entries of the image cache: what is accepted is what is written.
#![allow(dead_code, reason = "the included files are used in full where they come from")]

#[path = "../../host-runner/src/image_cache/entry/error.rs"]
pub mod error;
#[path = "../../host-runner/src/image_cache/entry/fields.rs"]
pub mod fields;
#[path = "../../host-runner/src/image_cache/entry/frame.rs"]
pub mod frame;
#[path = "../../host-runner/src/image_cache/entry/kept_build.rs"]
pub mod kept_build;
#[path = "../../host-runner/src/image_cache/entry/planned_image.rs"]
pub mod planned_image;

use frame::{Key, Kind};
use kept_build::KeptBuild;
use planned_image::{PlannedImage, PlannedImport};

use crate::source_file::{FileStamp, SourceFile};

const KEY: Key = [0x5A; 32];

/// Reads any bytes as an entry of either kind, and as either payload, which no digest protects.
pub fn image_cache(bytes: &[u8]) {
    for kind in [Kind::Planned, Kind::Build] {
        if let Ok(payload) = frame::payload(kind, &KEY, bytes) {
            assert_eq!(frame::framed(kind, &KEY, payload), bytes);
        }
    }
    // One value is written in one way, so nothing that was read may be lost.
    if let Ok(planned) = PlannedImage::of_payload(bytes) {
        assert_eq!(planned.payload(), bytes);
    }
    if let Ok(build) = KeptBuild::of_payload(bytes) {
        assert_eq!(build.payload(), bytes);
    }
}

/// An entry and a payload of each kind.
pub(crate) fn entries() -> Vec<Vec<u8>> {
    let import = |weak, version: Option<&[u8]>| PlannedImport {
        name: b"memcpy".to_vec(),
        weak,
        version: version.map(<[u8]>::to_vec),
    };
    let imports = vec![import(false, Some(b"GLIBC_2.14")), import(true, None)];
    let planned = PlannedImage { entry: 64, span: 4096, build_id: Some(vec![1; 20]), imports };
    let file = SourceFile {
        path: "/a/source.cpp".into(),
        digest: [2; 32],
        stamp: FileStamp { identity: [1, 2, 3], times: [4, 5, 6, 7] },
        is_settled: true,
    };
    let build = |planned| KeptBuild { files: vec![file.clone()], planned, blob: vec![3; 40] };
    // With a verdict, and without one, as for hbg.
    let (trb, hbg) = (build(Some(planned.clone())).payload(), build(None).payload());
    let planned = planned.payload();
    let framed =
        [frame::framed(Kind::Planned, &KEY, &planned), frame::framed(Kind::Build, &KEY, &trb)];
    [framed.to_vec(), vec![planned, trb, hbg]].concat()
}
