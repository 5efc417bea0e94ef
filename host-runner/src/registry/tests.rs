//! Registration as a transaction, ids and generations, sharing.

use std::sync::Arc;

use protocol::{A2a3, CallableId, FuncId};

use super::lease_gate::Retired;
use super::*;
use crate::callable::Callable;
use crate::device::sim::SimDevice;
use crate::device::sim::UNLOAD_LIMIT_DEFAULT;
use crate::device::{DeviceUsage, ImageError, OrchestrationError};
use crate::test_callables::{callable, kernel, orchestration, store_kernel, storing};

/// Ids of a device that keeps to the protocol's cap.
const IDS: usize = 64;

struct Bench {
    on: Arc<OpenDevice>,
    registry: Registry,
}

impl Bench {
    fn new() -> Self {
        let device = SimDevice::<A2a3>::open().unwrap();
        Self { on: Arc::new(OpenDevice::new(Box::new(device))), registry: Registry::default() }
    }

    fn register(&self, callable: &Callable) -> Result<Arc<Registration>, RegisterError> {
        self.register_as(None, callable)
    }

    fn register_as(
        &self,
        id: Option<CallableId>,
        callable: &Callable,
    ) -> Result<Arc<Registration>, RegisterError> {
        Ok(self.registry.reserve(id, IDS)?.fill(&self.on, callable, UNLOAD_LIMIT_DEFAULT)?.0)
    }

    fn unregister(&self, it: &Registration) {
        assert_eq!(it.gate().retire(), Retired::Now);
        it.remove().unwrap();
        self.registry.release(it);
    }

    fn usage(&self) -> DeviceUsage {
        self.on.device().usage()
    }

    /// Nothing is on the device and nothing is registered.
    #[track_caller]
    fn assert_empty(&self) {
        assert_eq!(self.usage(), DeviceUsage::default());
        assert_eq!((self.registry.len(), self.on.image_count()), (0, 0));
        assert!(self.on.device().loaded_code().is_empty());
    }
}

fn key(it: &Registration) -> (usize, u32) {
    (it.id().index(), it.generation())
}

#[test]
fn unregistering_gives_everything_back_and_ids_are_used_again() {
    let bench = Bench::new();
    let first = bench.register(&storing(0)).unwrap();
    let second = bench.register(&storing(0)).unwrap();
    assert_eq!((key(&first), key(&second)), ((0, 1), (1, 1)));
    bench.unregister(&first);
    let third = bench.register(&storing(0)).unwrap();
    assert_eq!(key(&third), (0, 2));
    bench.registry.release(&first);
    assert_eq!(bench.registry.len(), 2, "an earlier use of an id frees nothing");
    bench.unregister(&second);
    bench.unregister(&third);
    bench.assert_empty();
}

#[test]
fn no_generation_of_an_id_is_used_twice() {
    let bench = Bench::new();
    bench.registry.slots()[0].generation = u32::MAX - 1;
    let last = bench.register(&storing(0)).unwrap();
    assert_eq!(key(&last), (0, u32::MAX));
    bench.unregister(&last);
    let next = bench.register(&storing(0)).unwrap();
    assert_eq!(key(&next), (1, 1));
    let used_up = bench.register_as(Some(last.id()), &storing(0));
    assert!(matches!(used_up, Err(RegisterError::IdInUse { name: None, .. })), "{used_up:?}");
    bench.unregister(&next);
    bench.assert_empty();
}

#[test]
fn equal_bytes_are_on_the_device_once() {
    let bench = Bench::new();
    let all: Vec<_> = (0..3).map(|_| bench.register(&storing(0)).unwrap()).collect();
    let usage = bench.usage();
    assert_eq!((usage.kernels, usage.allocations), (1, 2), "one kernel, one orchestration");
    let traffic = |it: &Registration| it.placement().as_ref().unwrap().traffic();
    assert_eq!(traffic(&all[0]).hits, 0);
    assert!(traffic(&all[0]).bytes_uploaded > 0);
    assert_eq!(traffic(&all[1]), Traffic { bytes_uploaded: 0, hits: 2, loads: 1 });
    for it in &all {
        bench.unregister(it);
    }
    bench.assert_empty();
}

#[test]
fn the_same_func_id_may_be_another_kernel_in_another_callable() {
    let bench = Bench::new();
    let all = [storing(1), storing(2)].map(|each| bench.register(&each).unwrap());
    assert_eq!(bench.usage().kernels, 2);
    let mut body = [protocol::RuntimeBody::default(), protocol::RuntimeBody::default()];
    for (it, body) in all.iter().zip(&mut body) {
        it.placement().as_ref().unwrap().bind(body);
    }
    assert_ne!(body[0].func_id_to_addr[0], body[1].func_id_to_addr[0]);
    assert_eq!(body[0].dev_orch_so_addr, body[1].dev_orch_so_addr, "the same orchestration");
}

#[test]
fn a_failed_registration_leaves_nothing() {
    let bench = Bench::new();
    let good = || store_kernel(0, 0);
    let mut not_elf = good();
    not_elf.binary = b"no kernel".to_vec();
    not_elf.func_id = FuncId::new(1).unwrap();
    let no_entry = kernel(1, "extern \"C\" void other(long *) {}");

    for bad in [not_elf, no_entry] {
        let error = bench.register(&callable(orchestration(""), vec![good(), bad])).unwrap_err();
        assert!(
            matches!(&error, RegisterError::Kernel { func_id, .. } if func_id.index() == 1),
            "{error:?}"
        );
        bench.assert_empty();
    }
    let kept = bench.register(&storing(0)).unwrap();
    assert_eq!(kept.id().index(), 0, "no id was used up");
    bench.unregister(&kept);
}

#[test]
fn bad_orchestrations_are_refused_when_they_are_registered() {
    let bench = Bench::new();
    let good = orchestration("");
    let mut other_machine = good.clone();
    other_machine[18] = 40;
    let nowhere = orchestration("extern void nowhere(); nowhere();");
    let check = |image: Vec<u8>, part: &str| {
        match bench.register(&callable(image, vec![store_kernel(0, 0)])) {
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
    let refused = bench.register(&renamed);
    let Err(RegisterError::Orchestration { source: OrchestrationError::Image(source), .. }) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(source, ImageError::MissingSymbol { symbol: "missing_entry".to_owned() });
    bench.assert_empty();
}

#[test]
fn the_sixty_fifth_registration_names_the_limit() {
    let bench = Bench::new();
    let mut all: Vec<_> = (0..IDS).map(|_| bench.register(&storing(0)).unwrap()).collect();
    assert!(all.iter().enumerate().all(|(index, it)| key(it) == (index, 1)));
    let full = bench.register(&storing(0));
    assert!(matches!(full, Err(RegisterError::Full { limit: IDS })), "{full:?}");
    bench.unregister(&all[17]);
    all[17] = bench.register(&storing(0)).unwrap();
    assert_eq!(key(&all[17]), (17, 2));
    for it in &all {
        bench.unregister(it);
    }
    bench.assert_empty();
}

#[test]
fn an_id_of_the_callers_choice_is_taken_if_it_is_free() {
    let bench = Bench::new();
    let id = |index: i64| CallableId::new(index).unwrap();
    let fifth = bench.register_as(Some(id(5)), &storing(0)).unwrap();
    assert_eq!(key(&fifth), (5, 1));
    let before = bench.usage();
    match bench.register_as(Some(id(5)), &storing(1)) {
        Err(RegisterError::IdInUse { name: Some(name), .. }) => assert_eq!(name, "test"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.usage(), before, "a refused registration touches nothing");
    let coming = bench.registry.reserve(Some(id(6)), IDS).unwrap();
    let taken = bench.register_as(Some(id(6)), &storing(0));
    assert!(matches!(taken, Err(RegisterError::IdInUse { name: None, .. })), "{taken:?}");
    drop(coming);
    bench.unregister(&bench.register_as(Some(id(6)), &storing(0)).unwrap());
    if let Ok(beyond) = CallableId::new(IDS as i64) {
        let refused = bench.register_as(Some(beyond), &storing(0));
        assert!(matches!(refused, Err(RegisterError::IdOutOfRange { limit: IDS, .. })));
    }
    bench.unregister(&fifth);
    bench.assert_empty();
}

mod callers_blob;
