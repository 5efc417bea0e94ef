//! Entries that fail, calls from elsewhere, and that the next run works.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::device::MemoryError;
use crate::graph::GraphError;

/// Fails in the way that the first scalar says.
const BODY: &str = r#"
    ops.add_task(rt, nullptr, 0, 0, 1);
    void *memory = ops.device_malloc(rt, 64);
    char info[64 * 17] = {};
    switch (args.scalars[0]) {
        case 0: return 0;
        case 1: return -7;
        case 2: throw std::runtime_error("no plan for 3 heads");
        case 3: throw 5;
        case 4: return ops.device_malloc(rt, 1ull << 60) ? 1 : -12;
        case 5: if (!ops.device_malloc(rt, 1ull << 60)) throw std::bad_alloc(); return 1;
        case 6: return ops.device_malloc(rt, 1ull << 60) ? 1 : 0;
        case 7: ops.device_free(rt, nullptr); return ops.copy_to_device(rt, nullptr, nullptr, 0);
        case 8: return ops.set_tensor_info_to_task(rt, 0, info, 17);
        case 9: return ops.set_tensor_info_to_task(rt, 1, info, 1);
        case 10: return ops.set_tensor_info_to_task(rt, 0, nullptr, 1);
        case 11: return ops.set_tensor_info_to_task(rt, 0, info, -1);
        case 12: return ops.set_tensor_info_to_task(rt, 1, info, 1) == -1 ? 0 : 1;
        case 13: return ops.set_tensor_info_to_task(rt, 0, nullptr, 0);
        case 14: info[4] = 9; return ops.set_tensor_info_to_task(rt, 0, info, 2);
        case 15: ops.device_malloc(rt, 1ull << 60); ops.set_tensor_info_to_task(rt, 1, info, 1); return 3;
    }
    return 100;
"#;

/// The text of the error of [`BODY`]'s failure, "" where there is none.
fn failure(fixture: &mut Fixture, orchestration: &HostOrchestration, number: u64) -> String {
    fixture.set_scalars(&[number]);
    let built = fixture.build(orchestration);
    if built.is_ok() {
        assert_eq!((fixture.builder.task_count(), fixture.memory.live()), (1, 1), "{number}");
    }
    built.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn returns_and_exceptions_are_errors_that_mention_what_was_not_granted_and_the_next_run_works() {
    let orchestration = open("", BODY);
    let mut fixture = Fixture::new();
    let returned = |text: &str| format!("the orchestration returned {text}");
    let thrown = |text: &str| format!("a C++ exception left the orchestration: {text}");
    let memory = MemoryError::Exhausted { bytes: 1 << 60 };
    let infos = |task, have| GraphError::TensorInfoCount { task, have, limit: 16 };
    let unknown = GraphError::UnknownInfoTask { task: 1, tasks: 1 };
    let call = "set_tensor_info_to_task";
    let expected = [
        String::new(),
        returned("-7"),
        thrown("std::runtime_error: no plan for 3 heads"),
        thrown("int"),
        returned(&format!("-12, after device_malloc: {memory}")),
        thrown(&format!("std::bad_alloc: std::bad_alloc, after device_malloc: {memory}")),
        String::new(),
        String::new(),
        returned(&format!("-1, after {call}: {}", infos(0, 17))),
        returned(&format!("-1, after {call}: {unknown}")),
        returned(&format!(
            "-1, after {call}: the array of records is null, for 64 bytes; pass the address of \
             memory that large"
        )),
        returned(&format!("-1, after {call}: {}", infos(0, -1))),
        String::new(),
        String::new(),
        String::new(),
        // The last one is the nearest to what went wrong.
        returned(&format!("3, after {call}: {unknown}")),
        returned("100"),
    ];
    for (number, expected) in (0..).zip(&expected) {
        assert_eq!(failure(&mut fixture, &orchestration, number), *expected, "{number}");
        if number == 14 {
            let infos = fixture.builder.tensor_info(0);
            assert_eq!((infos.len(), infos[0].shapes[0], infos[1].shapes[0]), (2, 9, 0));
        }
        assert_eq!(failure(&mut fixture, &orchestration, 0), "", "after {number}");
    }
}

#[test]
fn arguments_with_damaged_counts_do_not_get_to_the_entry() {
    let orchestration = open("", "throw 1;");
    for (tensors, scalars) in [(-1, 0), (65, 0), (0, 129), (0, -1)] {
        let mut fixture = Fixture::new();
        fixture.arguments.tensor_count = tensors;
        fixture.arguments.scalar_count = scalars;
        assert!(matches!(fixture.build(&orchestration), Err(BuildError::Arguments(_))));
    }
}

#[test]
fn a_call_from_another_thread_is_refused_and_fails_the_run() {
    let body = r#"
        int task = 0;
        if (args.scalars[0]) {
            std::thread([&] {
                task = ops.add_task(rt, nullptr, 0, 0, 1);
                ops.add_successor(rt, 0, 0);
            }).join();
            if (task != -1 || ops.get_task_count(rt) != 0) return 1;
        }
        return 0;
    "#;
    let orchestration = open("", body);
    let mut fixture = Fixture::new();
    for _ in 0..2 {
        fixture.set_scalars(&[1]);
        match fixture.build(&orchestration) {
            Err(BuildError::Call(error)) => {
                assert_eq!(error, CallError { call: "add_task", cause: CallFault::OtherThread });
            }
            other => panic!("{other:?}"),
        }
        fixture.set_scalars(&[0]);
        fixture.build(&orchestration).unwrap();
    }
}

/// Keeps the runtime object, and calls it from everywhere.
const KEEPING: &str = r#"
    static Rt *kept;
    static int call() { return kept ? kept->ops->add_task(kept, nullptr, 0, 0, 1) : -2; }
    extern "C" int late() {
        kept->ops->device_free(kept, nullptr);
        kept->ops->print_runtime(kept);
        return call();
    }
    struct End { ~End() { call(); } } end;
"#;

#[test]
fn calls_after_the_entry_has_returned_do_nothing_and_are_not_the_next_runs() {
    let orchestration = open(KEEPING, "kept = rt; return call();");
    let mut fixture = Fixture::new();
    fixture.build(&orchestration).unwrap();
    let late = || {
        let library = orchestration.library.as_ref().unwrap();
        // SAFETY: the source defines it with this signature.
        let late = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"late\0") }.unwrap();
        // SAFETY: as above.
        unsafe { late() }
    };
    assert_eq!(late(), -1);
    assert_eq!(std::thread::scope(|scope| scope.spawn(late).join().unwrap()), -1);
    assert_eq!(fixture.builder.task_count(), 1);
    fixture.build(&orchestration).unwrap();
    assert_eq!(fixture.builder.task_count(), 1);
    // Its destructor calls, too.
    orchestration.close().unwrap();
}

#[test]
fn a_runtime_object_of_another_orchestration_is_a_wrong_one() {
    let other = open(KEEPING, "kept = rt; return 0;");
    Fixture::new().build(&other).unwrap();
    let library = other.library.as_ref().unwrap();
    // SAFETY: only the address of the symbol is used.
    let late = unsafe { library.get::<*const ()>(b"late\0") }.unwrap().into_raw();
    let orchestration = open(
        "",
        "return ((int (*)())args.scalars[0])() == -1 && ops.get_task_count(rt) < 0 ? 0 : 1;",
    );
    let mut fixture = Fixture::new();
    fixture.set_scalars(&[late.expose_provenance() as u64]);
    match fixture.build(&orchestration) {
        Err(BuildError::Call(error)) => {
            assert_eq!(error, CallError { call: "device_free", cause: CallFault::OtherRuntime });
        }
        other => panic!("{other:?}"),
    }
}

/// Panics where somebody asks whether it listens to listings of graphs.
struct Panicking;

impl tracing::Subscriber for Panicking {
    fn register_callsite(&self, _: &tracing::Metadata<'_>) -> tracing::subscriber::Interest {
        // To be asked each time, and on the thread of the test only.
        tracing::subscriber::Interest::sometimes()
    }
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        if metadata.target() == "hbg" {
            panic!("not today");
        }
        false
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_panic_of_the_hosts_own_goes_past_the_orchestration_not_through_it() {
    let globals = "static int returned = 0; extern \"C\" int returns() { return returned; }";
    let orchestration = open(
        globals,
        "ops.print_runtime(rt); returned++; return ops.add_task(rt, nullptr, 0, 0, 1);",
    );
    let mut fixture = Fixture::new();
    let caught = tracing::subscriber::with_default(Panicking, || {
        catch_unwind(AssertUnwindSafe(|| fixture.build(&orchestration)))
    });
    let panic = caught.expect_err("it goes on");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"not today"));
    let library = orchestration.library.as_ref().unwrap();
    // SAFETY: the source defines it with this signature.
    let returns = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"returns\0") }.unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { returns() }, 1);
    assert_eq!(fixture.builder.task_count(), 0);
    fixture.build(&orchestration).unwrap();
    assert_eq!(fixture.builder.task_count(), 1);
}

#[test]
fn an_output_that_cannot_be_copied_back_is_told() {
    let body = r#"
        ops.record_tensor_pair(rt, (void *)args.tensors[0].data, ops.device_malloc(rt, 8), 8);
        return 0;
    "#;
    let orchestration = open("", body);
    let mut host = [5];
    let mut fixture = Fixture::new();
    fixture.pass(&mut host);
    let built = fixture.build(&orchestration).unwrap();
    fixture.device.fail_at(1);
    // SAFETY: the output is alive, and nobody uses it.
    let told = unsafe { built.copy_back(&fixture.device) };
    let address = built.outputs[0].device;
    assert_eq!(told, Err(MemoryError::OutOfRange { address, bytes: 8 }));
    assert_eq!(host, [5]);
}
