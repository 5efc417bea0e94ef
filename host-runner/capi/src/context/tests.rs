//! The life of a context without a device, and of its ids.

use super::*;
use crate::variant::RuntimeName;
use host_runner::worker::PlatformName;

fn context(runtime: RuntimeName) -> Context {
    Context::new(Variant { platform: PlatformName::A2a3Sim, runtime })
}

fn no_blob() -> Result<Callable, Failure> {
    Err(Failure::refused("no blob"))
}

#[test]
fn without_a_device_only_what_needs_none_works() {
    let context = context(RuntimeName::Trb);
    assert!(context.allocate(1).is_err() && context.prepare(0, no_blob).is_err());
    let text = context.prepare(0, no_blob).unwrap_err().text;
    assert!(text.contains("simpler_init"), "{text}");
    assert_eq!((context.unregister(0), context.aicpu_loads()), (Ok(()), 0));
    context.finalize();
    assert!(context.memory_report().contains("null"));
}

#[test]
fn a_context_stays_with_its_device_until_it_is_finalized() {
    let context = context(RuntimeName::Trb);
    assert!(context.init(-1).is_err());
    assert_eq!((context.init(3), context.init(3)), (Ok(()), Ok(())));
    assert!(context.init(4).unwrap_err().text.contains("device 3"));
    let address = context.allocate(100).unwrap();
    let report: serde_json::Value = serde_json::from_str(&context.memory_report()).unwrap();
    assert_eq!((&report["device"], &report["callables"]), (&3.into(), &0.into()));
    let holders = report["memory"]["holders"].as_array().unwrap();
    let user = holders.iter().find(|it| it["holder"] == "user").unwrap();
    assert_eq!((&user["allocations"], &user["bytes"]), (&1.into(), &100.into()));
    context.finalize();
    context.finalize();
    assert_eq!(context.init(4), Ok(()));
    // What was on the earlier device is unknown to this one, and freeing it is no error.
    assert_eq!(context.free(address), Ok(()));
    assert!(context.copy_in(address, &[1]).is_err());
}

#[test]
fn an_id_is_free_again_when_preparing_it_fails_or_panics() {
    let context = context(RuntimeName::Trb);
    context.init(0).unwrap();
    for cid in [-1, 64, c_int::MIN, c_int::MAX] {
        assert!(context.prepare(cid, no_blob).unwrap_err().text.contains("0..64"));
    }
    for cid in [0, 63] {
        assert_eq!(context.prepare(cid, no_blob).unwrap_err().text, "no blob");
        let panics = std::panic::AssertUnwindSafe(|| context.prepare(cid, || panic!("injected")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(context.prepare(cid, no_blob).unwrap_err().text, "no blob");
    }
}
