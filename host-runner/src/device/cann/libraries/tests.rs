//! What is said where a library or a function is missing.

use super::*;
use crate::device::sim::test_objects::cxx_bytes;

#[test]
fn a_machine_without_the_libraries_hears_which_one_where_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let missing = Functions::open(Some(home.path()), ChipName::A2a3).map(drop).unwrap_err();
    let LibraryError::NotFound { library, tried } = &missing else { panic!("{missing}") };
    assert_eq!((*library, tried.len()), (VendorLibrary::Acl, 3));
    let text = missing.to_string();
    for part in ["libascendcl.so", "CANN toolkit", "ASCEND_HOME_PATH", "a2a3sim", "lib64"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_library_without_a_function_is_named_with_the_function() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("lib64");
    std::fs::create_dir(&folder).unwrap();
    let names: Vec<&str> = Functions::NAMES
        .iter()
        .filter(|(name, library)| *library == VendorLibrary::Acl && *name != "aclrtResetDevice")
        .map(|(name, _)| *name)
        .collect();
    let source: String =
        names.iter().map(|name| format!("extern \"C\" int {name}() {{ return 0; }}\n")).collect();
    std::fs::write(folder.join("libascendcl.so"), cxx_bytes("acl", &source)).unwrap();
    let missing = Functions::open(Some(home.path()), ChipName::A5).map(drop).unwrap_err();
    let LibraryError::NoSymbol { symbol, ref path, chip, .. } = missing else {
        panic!("{missing}")
    };
    assert_eq!((symbol, chip), ("aclrtResetDevice", ChipName::A5));
    assert!(path.starts_with(home.path()), "{}", path.display());
    assert!(missing.to_string().contains("`aclrtResetDevice`, which a device of the chip a5"));
}

#[test]
fn each_chip_asks_for_its_own_functions_and_not_for_those_of_the_other() {
    let asked = |chip| {
        let mut names = Vec::new();
        // SAFETY: none of them is called.
        let found = unsafe {
            Functions::find(chip, |_, name| {
                names.push(name);
                Ok::<_, ()>(std::ptr::dangling_mut::<c_void>())
            })
        };
        (names, found.unwrap())
    };
    let (names, functions) = asked(ChipName::A2a3);
    assert!(names.contains(&"halMemCtl") && !names.contains(&"halResMap"));
    assert!(functions.mem_ctl.is_some() && functions.resource_map.is_none());
    let (names, functions) = asked(ChipName::A5);
    assert!(names.contains(&"halResMap") && !names.contains(&"rtGetC2cCtrlAddr"));
    assert!(functions.mem_ctl.is_none() && functions.resource_map.is_some());
}
