//! Registration as a transaction, ids and generations, sharing.

use protocol::A2a3;

use super::*;
use crate::callable::Callable;
use crate::device::sim::SimDevice;
use crate::device::{DeviceUsage, ImageError};
use crate::test_callables::{callable, kernel, orchestration, store_kernel, storing};

struct Bench {
    device: SimDevice<A2a3>,
    registry: Registry,
}

impl Bench {
    fn new() -> Self {
        Self { device: SimDevice::open().unwrap(), registry: Registry::default() }
    }

    fn register(&mut self, blob: &[u8]) -> Result<(CallableId, u32), RegisterError> {
        self.registry.register(&self.device, "test", blob)
    }

    fn unregister(&mut self, (id, generation): (CallableId, u32)) -> Result<(), UnregisterError> {
        self.registry.unregister(&self.device, id, generation)
    }

    /// Nothing is on the device and nothing is registered.
    #[track_caller]
    fn assert_empty(&self) {
        assert_eq!(self.device.usage(), DeviceUsage::default());
        assert_eq!((self.registry.len(), self.registry.orchestrations.count()), (0, 0));
    }
}

#[test]
fn unregistering_gives_everything_back_and_ids_are_used_again() {
    let mut bench = Bench::new();
    let blob = storing(0).blob().to_vec();
    let first = bench.register(&blob).unwrap();
    let second = bench.register(&blob).unwrap();
    assert_eq!((first.0.index(), second.0.index()), (0, 1));
    bench.unregister(first).unwrap();
    let third = bench.register(&blob).unwrap();
    assert_eq!((third.0.index(), third.1), (0, first.1 + 1));
    let (id, generation) = first;
    assert_eq!(bench.unregister(first), Err(StaleHandle { id, generation }.into()));
    bench.unregister(second).unwrap();
    bench.unregister(third).unwrap();
    bench.assert_empty();
}

#[test]
fn no_generation_of_an_id_is_used_twice() {
    let mut bench = Bench::new();
    let blob = storing(0).blob().to_vec();
    bench.registry.slots[0].generation = u32::MAX - 1;
    let last = bench.register(&blob).unwrap();
    assert_eq!((last.0.index(), last.1), (0, u32::MAX));
    bench.unregister(last).unwrap();
    let next = bench.register(&blob).unwrap();
    assert_eq!((next.0.index(), next.1), (1, 1));
    assert!(bench.unregister(last).is_err());
    bench.unregister(next).unwrap();
    bench.assert_empty();
}

#[test]
fn equal_bytes_are_on_the_device_once() {
    let mut bench = Bench::new();
    let blob = storing(0).blob().to_vec();
    let handles: Vec<_> = (0..3).map(|_| bench.register(&blob).unwrap()).collect();
    let usage = bench.device.usage();
    assert_eq!((usage.kernels, usage.allocations), (1, 2), "one kernel, one orchestration");
    for handle in handles {
        bench.unregister(handle).unwrap();
    }
    bench.assert_empty();
}

#[test]
fn the_same_func_id_may_be_another_kernel_in_another_callable() {
    let mut bench = Bench::new();
    let handles = [storing(1), storing(2)].map(|each| bench.register(each.blob()).unwrap());
    assert_eq!(bench.device.usage().kernels, 2);
    let mut body = [protocol::RuntimeBody::default(), protocol::RuntimeBody::default()];
    for ((id, generation), body) in handles.into_iter().zip(&mut body) {
        let entry = bench.registry.entry(id, generation).unwrap();
        entry.placement.as_ref().unwrap().bind(body);
    }
    assert_ne!(body[0].func_id_to_addr[0], body[1].func_id_to_addr[0]);
    assert_eq!(body[0].dev_orch_so_addr, body[1].dev_orch_so_addr, "the same orchestration");
}

#[test]
fn a_failed_registration_leaves_nothing() {
    let mut bench = Bench::new();
    let good = || store_kernel(0, 0);
    let mut not_elf = good();
    not_elf.binary = b"no kernel".to_vec();
    not_elf.func_id = FuncId::new(1).unwrap();
    let no_entry = kernel(1, "extern \"C\" void other(long *) {}");

    for bad in [not_elf, no_entry] {
        let blob = callable(orchestration(""), vec![good(), bad]).blob().to_vec();
        let error = bench.register(&blob).unwrap_err();
        assert!(
            matches!(&error, RegisterError::Kernel { func_id, .. } if func_id.index() == 1),
            "{error:?}"
        );
        bench.assert_empty();
    }
    let kept = bench.register(storing(0).blob()).unwrap();
    assert_eq!((kept.0.index(), kept.1), (0, 1), "no id and no generation was used up");
}

#[test]
fn bad_orchestrations_are_refused_when_they_are_registered() {
    let mut bench = Bench::new();
    let good = orchestration("");
    let mut other_machine = good.clone();
    other_machine[18] = 40;
    let nowhere = orchestration("extern void nowhere(); nowhere();");
    let mut check = |image: Vec<u8>, part: &str| {
        let blob = callable(image, vec![store_kernel(0, 0)]).blob().to_vec();
        match bench.register(&blob) {
            Err(RegisterError::Orchestration { source, .. }) => {
                assert!(format!("{source:?}").contains(part), "{source:?}");
            }
            other => panic!("{part}: {other:?}"),
        }
        bench.assert_empty();
    };
    check(b"#!/bin/sh\n".to_vec(), "NotElf");
    check(other_machine, "WrongMachine { found: 40");
    check(good[..good.len() / 2].to_vec(), "Truncated");
    check(nowhere, "nowhere");

    let renamed = Callable::builder(good).name("test").entry("missing_entry").build().unwrap();
    let refused = bench.register(renamed.blob());
    let Err(RegisterError::Orchestration { source: OrchestrationError::Image(source), .. }) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(source, ImageError::MissingSymbol { symbol: "missing_entry".to_owned() });
    bench.assert_empty();
}

#[test]
fn a_damaged_blob_is_refused() {
    let mut bench = Bench::new();
    let blob = storing(0).blob().to_vec();
    for length in [0, 100, blob.len() - 1] {
        assert!(matches!(bench.register(&blob[..length]), Err(RegisterError::Blob(_))));
    }
    bench.assert_empty();
}

#[test]
fn the_sixty_fifth_registration_names_the_limit() {
    let mut bench = Bench::new();
    let blob = storing(0).blob().to_vec();
    for index in 0..64 {
        assert_eq!(bench.register(&blob).unwrap().0.index(), index);
    }
    let full = bench.register(&blob);
    assert!(matches!(full, Err(RegisterError::Full { limit: 64 })), "{full:?}");
    let middle = CallableId::new(17).unwrap();
    bench.unregister((middle, 1)).unwrap();
    assert_eq!(bench.register(&blob).unwrap(), (middle, 2));
}
