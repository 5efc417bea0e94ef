//! Calls that the runtime refuses: the first one ends the run, whatever the entry returns.

use super::*;
use crate::device::MemoryError;
use crate::graph::GraphError;

/// Makes the wrong call whose number is the first scalar, goes on, and says that all is well.
const BODY: &str = r#"
    uint64_t words[17] = {};
    char host[64] = {};
    char *memory = (char *)ops.device_malloc(rt, 64);
    char *user = (char *)args.scalars[1];
    ops.add_task(rt, words, 1, 0, 1);
    switch (args.scalars[0]) {
        case 0: if (ops.add_task(rt, words, 1, 2, 1) != -1) return 50; break;
        case 1: ops.add_task(rt, words, 1, -1, 1); break;
        case 2: ops.add_task(rt, words, 1, 1024, 1); break;
        case 3: ops.add_task(rt, words, 1, 0, 2); break;
        case 4: ops.add_task(rt, words, 17, 0, 1); break;
        case 5: ops.add_task(rt, words, -1, 0, 1); break;
        case 6: ops.add_task(rt, nullptr, 3, 0, 1); break;
        case 7: ops.add_task(rt, words, 0x7fffffff, 0, 1); break;
        case 8: ops.add_successor(rt, 0, 1); break;
        case 9: ops.add_successor(rt, -1, 0); break;
        case 10: if (ops.copy_to_device(rt, memory, host, 65) != -1) return 51; break;
        case 11: ops.copy_to_device(rt, memory - 1, host, 2); break;
        case 12: ops.copy_to_device(rt, nullptr, host, 8); break;
        case 13: ops.copy_to_device(rt, memory, nullptr, 8); break;
        case 14: ops.copy_to_device(rt, memory, host, ~0ull); break;
        case 15: ops.copy_to_device(rt, memory, memory, 8); break;
        case 16: ops.copy_to_device(rt, memory, memory + 8, 16); break;
        case 17: ops.copy_to_device(rt, user + 8, host, 16); break;
        case 18: ops.device_free(rt, memory); ops.copy_to_device(rt, memory, host, 8); break;
        case 19: ops.record_tensor_pair(rt, host, memory, 65); break;
        case 20: ops.record_tensor_pair(rt, nullptr, memory, 8); break;
        case 21: ops.record_tensor_pair(rt, host, nullptr, 8); break;
        case 22: ops.record_tensor_pair(rt, (void *)~7ull, memory, 16); break;
        case 23: ops.record_tensor_pair(rt, host, host, 8); break;
        case 24: ops.device_free(rt, memory); ops.device_free(rt, memory); break;
        case 25: ops.device_free(rt, memory + 8); break;
        case 26: ops.device_free(rt, user); break;
        case 27: ops.add_task(nullptr, words, 1, 0, 1); break;
        case 28: { Rt other = *rt; if (ops.get_task_count(&other) != -1) return 52; } break;
        case 29: ops.record_tensor_pair(rt, memory, memory, 8); break;
        default: return 60;
    }
    // Nothing is done any more.
    if (ops.device_malloc(rt, 8) || ops.add_task(rt, words, 1, 0, 1) != -1) return 61;
    if (ops.get_task_count(rt) != -1 || ops.copy_to_device(rt, memory, host, 1) != -1) return 62;
    if (ops.set_tensor_info_to_task(rt, 0, nullptr, 0) != -1) return 63;
    ops.device_free(rt, user);
    ops.add_successor(rt, 7, 7);
    ops.record_tensor_pair(rt, host, memory, 8);
    ops.print_runtime(rt);
    return 0;
"#;

/// What the errors of [`BODY`] say, in order.
const TEXTS: &[&str] = &[
    "add_task: task 1 names func id 2, for which the callable has no kernel",
    "add_task: task 1 names func id -1,",
    "add_task: task 1 names func id 1024,",
    "add_task: task 1 names core type 2; use 0 (AIC) or 1 (AIV)",
    "add_task: task 1 has 17 arguments; a task takes 0 to 16",
    "add_task: task 1 has -1 arguments",
    "add_task: the argument array is null, for 24 bytes",
    "add_task: task 1 has 2147483647 arguments",
    "add_successor: the edge from task 0 to task 1 names a task that has not been added; there are 1",
    "add_successor: the edge from task -1 to task 0",
    "copy_to_device: 65 bytes at ",
    "copy_to_device: 2 bytes at ",
    "copy_to_device: the device pointer is null, for 8 bytes",
    "copy_to_device: the host pointer is null, for 8 bytes",
    "copy_to_device: 18446744073709551615 bytes of host memory at ",
    "copy_to_device: host memory at ",
    "copy_to_device: host memory at ",
    "copy_to_device: 16 bytes at ",
    "copy_to_device: 8 bytes at ",
    "record_tensor_pair: 65 bytes at ",
    "record_tensor_pair: the host pointer is null, for 8 bytes",
    "record_tensor_pair: the device pointer is null, for 8 bytes",
    "record_tensor_pair: 16 bytes of host memory at 0xfffffffffffffff8 go beyond the end",
    "record_tensor_pair: 8 bytes at ",
    "device_free: ",
    "device_free: ",
    "device_free: ",
    "add_task: the runtime is not the one that the entry got",
    "get_task_count: the runtime is not the one that the entry got",
    "record_tensor_pair: host memory at ",
];

#[track_caller]
fn call_error(built: Result<Built, BuildError>) -> CallError {
    match built {
        Err(BuildError::Call(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_wrong_call_ends_the_run_with_its_name_although_the_entry_returns_0() {
    let orchestration = open("", BODY);
    let mut fixture = Fixture::new();
    let user = fixture.device.allocate(16, Holder::User).unwrap();
    for (number, text) in (0..).zip(TEXTS) {
        fixture.set_scalars(&[number, user.raw()]);
        let built = fixture.build(&orchestration);
        let shown = built.as_ref().unwrap_err().to_string();
        let error = call_error(built);
        assert!(error.to_string().starts_with(text), "{number}: {error}");
        assert_eq!(shown, format!("the orchestration's call of {error}"));
        assert_eq!(fixture.builder.task_count(), 1, "{number}");
        assert_eq!(fixture.builder.edge_count(), 0, "{number}");
        assert!(fixture.memory.live() <= 1, "{number}");
    }
    fixture.set_scalars(&[TEXTS.len() as u64, user.raw()]);
    assert!(matches!(fixture.build(&orchestration), Err(BuildError::Returned { status: 60, .. })));
    // The user's memory is still there.
    fixture.device.free(user).unwrap();
}

#[test]
fn a_wrong_call_is_the_error_whatever_the_entry_does_then() {
    let body = r#"
        if (ops.add_task(rt, nullptr, 0, 9, 1) < 0 && args.scalars[0]) throw 7;
        return -1;
    "#;
    let orchestration = open("", body);
    let mut fixture = Fixture::new();
    for thrown in [0, 1] {
        fixture.set_scalars(&[thrown]);
        let error = call_error(fixture.build(&orchestration));
        let cause = GraphError::UnknownKernel { task: 0, func_id: 9 }.into();
        assert_eq!(error, CallError { call: "add_task", cause });
    }
}

#[test]
fn memory_of_an_output_must_not_be_freed_even_where_it_is_handed_out_again() {
    let body = r#"
        static uint64_t host[2];
        char *first = (char *)ops.device_malloc(rt, 8), *second = (char *)ops.device_malloc(rt, 8);
        ops.record_tensor_pair(rt, host, first, 8);
        ops.record_tensor_pair(rt, host + 1, second, 8);
        ops.device_free(rt, args.scalars[0] ? first : second);
        // The same memory: what is there then is not what was recorded.
        if (args.scalars[1]) ops.device_malloc(rt, 8);
        return 0;
    "#;
    let orchestration = open("", body);
    let mut fixture = Fixture::new();
    for (first, again, index) in [(1, 0, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)] {
        fixture.set_scalars(&[first, again]);
        let error = call_error(fixture.build(&orchestration));
        let CallFault::OutputFreed { index: freed, bytes: 8, .. } = error.cause else {
            panic!("{error}")
        };
        assert_eq!((error.call, freed), ("device_free", index));
    }
}

#[test]
fn what_the_device_refuses_is_told_as_it_says_it() {
    let body = r#"
        char host[8] = {};
        void *memory = ops.device_malloc(rt, 8);
        if (memory) ops.copy_to_device(rt, args.scalars[0] ? (void *)args.scalars[0] : memory, host, 8);
        return 0;
    "#;
    let orchestration = open("", body);
    let mut fixture = Fixture::new();
    fixture.set_scalars(&[0]);
    // The first call takes the chunk, the second copies.
    fixture.device.fail_at(2);
    let error = call_error(fixture.build(&orchestration));
    let CallFault::Memory(MemoryError::OutOfRange { bytes: 8, .. }) = error.cause else {
        panic!("{error}")
    };
    assert_eq!(error.call, "copy_to_device");
    let user = fixture.device.allocate(8, Holder::User).unwrap();
    fixture.set_scalars(&[user.raw()]);
    fixture.build(&orchestration).unwrap();
    fixture.device.fail_at(1);
    let error = call_error(fixture.build(&orchestration));
    assert_eq!(error.cause, CallFault::DeviceRange { address: user, bytes: 8 });
}
