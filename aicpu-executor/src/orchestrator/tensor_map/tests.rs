//! The map against a list of all writes.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;
use protocol::{DataType, Tensor};
use zerocopy::FromZeros;

use super::*;
use crate::region::{RegionLayout, RegionSizes};

/// A region of a small window, and its memory.
fn region() -> (Region<'static>, Box<[u128]>) {
    let layout = RegionLayout::new(RegionSizes::wanted(64, 64)).expect("valid sizes");
    let memory = std::vec![0_u128; layout.total() as usize / 16 + 8].into_boxed_slice();
    let address = (memory.as_ptr().expose_provenance() as u64).next_multiple_of(64);
    // SAFETY: the memory is zeroed, large enough, and outlives the region in each test.
    let region = unsafe { Region::at(address, &layout) }.expect("aligned memory");
    region.clean();
    (region, memory)
}

/// Extents of the buffers of the tests: rows and columns.
const ROWS: u32 = 64;
const COLUMNS: u32 = 128;

/// A rectangle of a buffer.
fn view(buffer: u64, (top, rows): (u32, u32), (left, columns): (u32, u32), version: i32) -> Tensor {
    let mut tensor = Tensor::new_zeroed();
    tensor.buffer.addr = 0x1000 * (buffer + 1);
    (tensor.ndims, tensor.dtype, tensor.version) = (2, DataType::Int32 as u8, version);
    (tensor.shapes[0], tensor.shapes[1]) = (rows, columns);
    (tensor.raw_shapes[0], tensor.raw_shapes[1]) = (ROWS, COLUMNS);
    (tensor.offsets[0], tensor.offsets[1]) = (top, left);
    tensor
}

fn tensors() -> impl Strategy<Value = Tensor> {
    let rows = (0..ROWS, prop::sample::select(std::vec![0, 1, 1, 1, 2, 4, 16, ROWS]));
    let columns = prop::sample::select(std::vec![
        (0, COLUMNS),
        (0, COLUMNS),
        (0, 16),
        (16, 16),
        (24, 16),
        (40, 1),
        (120, 8)
    ]);
    (0..3_u64, rows, columns, prop::sample::select(std::vec![0, 0, 0, 0, 0, 0, 0, 1])).prop_map(
        |(buffer, (top, rows), columns, version)| {
            view(buffer, (top.min(ROWS - rows), rows), columns, version)
        },
    )
}

/// One write, in the model.
#[derive(Debug, Clone, Copy)]
struct Written {
    tensor: &'static Tensor,
    task: u32,
}

/// A tensor in a place that stays: tasks have them in their slots.
#[expect(clippy::vec_box, reason = "the addresses stay when the vector grows")]
fn placed(tensors: &mut Vec<Box<Tensor>>, tensor: Tensor) -> &'static Tensor {
    tensors.push(Box::new(tensor));
    let place: *const Tensor = &raw const **tensors.last().unwrap();
    // SAFETY: each test keeps the tensors as long as the map.
    unsafe { &*place }
}

/// What the model knows: all writes that look-ups find, by entry.
type Model = BTreeMap<u32, Written>;

/// What a look-up finds: the map's answer, which must be the model's.
fn look_up(map: &TensorMap, region: &Region<'_>, model: &Model, access: &Access<'_>) -> Vec<Found> {
    let mut found = BTreeMap::new();
    let walk = map.visit_overlaps(region, access, |write| {
        found.insert(write.entry, write);
        Ok::<_, ()>(())
    });
    assert_eq!(walk, Ok(()));
    let mut expected = BTreeMap::new();
    for (entry, write) in model {
        let earlier = Access::of(write.tensor).unwrap();
        if earlier.address == access.address {
            let overlap = access.overlap_with(earlier.bytes, || Some(earlier.geometry()));
            if overlap != Overlap::None {
                expected.insert(*entry, (write.task, overlap));
            }
        }
    }
    let seen: BTreeMap<_, _> = found
        .iter()
        .map(|(entry, write)| (*entry, (write.producer.raw(), write.overlap)))
        .collect();
    assert_eq!(seen, expected, "{access:?}");
    found.into_values().collect()
}

proptest! {
    /// Tasks write, tasks that look up what they write take it over or unlink it, tasks retire: each
    /// look-up finds what a list of all writes has.
    #[test]
    fn look_ups_find_what_a_list_of_all_writes_has(
        steps in prop::collection::vec((0_u8..8, tensors()), 1..300),
    ) {
        let (region, _memory) = region();
        let (mut map, mut model) = (TensorMap::default(), Model::new());
        let mut tasks: Vec<u32> = Vec::new();
        let mut places = Vec::new();
        let mut oldest = 0;
        for (step, tensor) in steps {
            let tensor = placed(&mut places, tensor);
            let access = Access::of(tensor).unwrap();
            let found = look_up(&map, &region, &model, &access);
            if step == 0 || tasks.len() - oldest > 150 {
                // The oldest task retires.
                if let Some(first) = tasks.get(oldest) {
                    map.free_list(&region, *first);
                    model.retain(|_, write| write.task != oldest as u32);
                    oldest += 1;
                }
                continue;
            }
            let task = tasks.len() as u32;
            let mut first = EMPTY;
            let mut is_taken = false;
            for found in found.iter().filter(|found| step > 3 && found.overlap == Overlap::Covered) {
                if found.is_exact && !is_taken {
                    let from = &mut tasks[found.producer.raw() as usize];
                    let handle = SlotHandle::from_raw(task);
                    let to = (handle, &access);
                    prop_assert!(TensorMap::take_over(&region, found.entry, to, from, &mut first));
                    prop_assert_eq!(TensorMap::writer(&region, found.entry), Some(handle));
                    model.insert(found.entry, Written { tensor, task });
                    is_taken = true;
                } else {
                    TensorMap::unlink(&region, found.entry);
                    TensorMap::unlink(&region, found.entry);
                    prop_assert!(TensorMap::writer(&region, found.entry).is_none());
                    model.remove(&found.entry);
                }
            }
            if !is_taken {
                map.insert(&region, &access, SlotHandle::from_raw(task), &mut first).unwrap();
                if first != EMPTY {
                    model.insert(first, Written { tensor, task });
                }
            }
            tasks.push(first);
        }
        for first in &tasks[oldest..] {
            map.free_list(&region, *first);
        }
        prop_assert_eq!(map.live(), 0);
        prop_assert!(region.map_grains.iter().all(|grain| grain.get() == EMPTY));
        for bucket in region.map_buckets {
            prop_assert_eq!((bucket.few.get(), bucket.many.get()), (EMPTY, EMPTY));
            prop_assert_eq!((bucket.few_count.get(), bucket.many_count.get()), (0, 0));
            prop_assert_eq!(bucket.kinds.get(), 0);
        }
    }
}

/// How many entries a look-up sees of a buffer that is written in many pieces does not depend on
/// how many there are.
#[test]
fn a_look_up_of_one_of_many_pieces_sees_few_others() {
    let layout = RegionLayout::new(RegionSizes::wanted(16384, 64)).expect("valid sizes");
    let memory = std::vec![0_u128; layout.total() as usize / 16 + 8];
    let address = (memory.as_ptr().expose_provenance() as u64).next_multiple_of(64);
    // SAFETY: the memory is zeroed, large enough, and outlives the region.
    let region = unsafe { Region::at(address, &layout) }.expect("aligned memory");
    region.clean();
    let mut map = TensorMap::default();
    let piece = |index: u32| {
        let mut tensor = view(0, (index, 1), (0, 24), 0);
        (tensor.raw_shapes[0], tensor.raw_shapes[1]) = (16384, 24);
        tensor
    };
    let (mut first, mut places) = (EMPTY, Vec::new());
    for index in 0..16384 {
        let access = Access::of(placed(&mut places, piece(index))).unwrap();
        map.insert(&region, &access, SlotHandle::new(0, index), &mut first).unwrap();
    }
    let mut longest = 0;
    for index in 0..16384 {
        let tensor = piece(index);
        let access = Access::of(&tensor).unwrap();
        let mut exact = 0;
        let walk = map.visit_overlaps(&region, &access, |found| {
            exact += usize::from(found.is_exact);
            Ok::<_, ()>(())
        });
        assert_eq!((walk, exact > 0), (Ok(()), true));
        let grain = Grain::of(access.bytes);
        for kind in [grain.kind & !1, grain.kind | 1] {
            let (first, last) = Grain::range(kind, access.bytes);
            let seen: usize = (first..=last)
                .map(|index| {
                    let number = grain_of(&region, access.address, Grain { kind, index });
                    let mut entry = region.map_grains[number].get();
                    let mut length = 0;
                    while let Some(next) = self::entry(&region, entry) {
                        (entry, length) = (next.grain_next.get(), length + 1);
                    }
                    length
                })
                .sum();
            longest = longest.max(seen);
        }
    }
    assert!(longest < 32, "a look-up sees {longest} entries");
}
