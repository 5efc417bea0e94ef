//! The list as a debugger walks it, from the first entry on.

use super::*;

/// Object files on the list, first to last. Checks every link on the way.
fn listed() -> Vec<*const u8> {
    let list = List::lock();
    let mut found = Vec::new();
    let (mut previous, mut entry) = (null_mut(), list.first());
    // SAFETY: entries of the list, which are live while it is locked.
    while let Some(each) = unsafe { entry.as_ref() } {
        assert_eq!(each.previous, previous);
        found.push(each.object);
        (previous, entry) = (entry, each.next);
    }
    // SAFETY: the lock is held.
    let descriptor = unsafe { &*list.descriptor };
    assert_eq!((descriptor.version, descriptor.action), (1, NO_ACTION));
    assert!(descriptor.relevant.is_null());
    found
}

/// Those of them that are ours: other tests list code as well.
fn listed_of(wanted: &[*const u8]) -> Vec<*const u8> {
    listed().into_iter().filter(|each| wanted.contains(each)).collect()
}

#[test]
fn the_newest_comes_first_and_whatever_order_they_go_the_rest_stays_linked() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut live: Vec<_> =
            (0..3_u8).map(|index| Some(Registration::new(vec![index; 100]))).collect();
        let objects: Vec<_> =
            live.iter().flatten().map(|registration| registration._object.as_ptr()).collect();
        let mut expected: Vec<_> = objects.iter().rev().copied().collect();
        assert_eq!(listed_of(&objects), expected);
        for index in order {
            live[index] = None;
            expected.retain(|object| *object != objects[index]);
            assert_eq!(listed_of(&objects), expected, "{order:?}");
        }
    }
}

#[test]
fn the_structures_are_laid_out_as_gdb_reads_them() {
    use core::mem::{offset_of, size_of};
    let descriptor = [
        offset_of!(Descriptor, version),
        offset_of!(Descriptor, action),
        offset_of!(Descriptor, relevant),
        offset_of!(Descriptor, first),
        size_of::<DescriptorCell>(),
    ];
    assert_eq!(descriptor, [0, 4, 8, 16, 24]);
    let entry = [
        offset_of!(CodeEntry, next),
        offset_of!(CodeEntry, previous),
        offset_of!(CodeEntry, object),
        offset_of!(CodeEntry, object_bytes),
        size_of::<CodeEntry>(),
    ];
    assert_eq!(entry, [0, 8, 16, 24, 32]);
}
