//! Callables with equal bytes: what they share is nobody's business but that of who pays for it.

use super::*;
use crate::test_callables::{callable, orchestration_with, store_kernel};

/// Large enough for its text to be shared. Stores how often it was run since it was loaded, and before that, by
/// a constructor, 100.
fn counting(number: u32) -> Callable {
    let globals = format!(
        "extern \"C\" {{ extern const unsigned char filler[60000];\n\
         const unsigned char filler[60000] = {{ {number} }}; }}\n\
         static int count(int from) {{ return from; }}\n\
         static int runs = count(99 + filler[0]);\n\
         static int *const runs_at = &runs; static char zeros[3000];"
    );
    let body = "runs += 1 + zeros[args.scalars[0]]++; \
                store(0, args.tensors[0].data, *runs_at);";
    callable(orchestration_with(&globals, body), vec![store_kernel(0, 0)])
}

fn run(worker: &Worker, handle: &CallableHandle) -> i32 {
    run_storing(worker, handle, 7, &RunConfig::default()).unwrap().0
}

#[test]
fn each_id_has_data_of_its_own_and_each_load_begins_anew() {
    let (worker, callable) = (worker(), counting(1));
    let first = worker.register(&callable).unwrap();
    assert_eq!(run(&worker, &first), 101);
    for _ in 0..3 {
        // The second one makes the copy that is shared, the third one uses it, later ones what is left of them.
        let others: Vec<_> = (0..6).map(|_| worker.register(&callable.clone()).unwrap()).collect();
        for (index, other) in others.iter().enumerate() {
            for _ in 0..index {
                run(&worker, other);
            }
            let ran = run(&worker, other);
            let added = i32::try_from(index * (index + 1) / 2).unwrap();
            assert_eq!(ran, 101 + i32::try_from(index).unwrap() + added);
        }
        others.iter().for_each(|other| worker.unregister(other).unwrap());
    }
    let again = counting(1);
    let equal = worker.register(&again).unwrap();
    assert_eq!(run(&worker, &equal), 101);
    worker.unregister(&first).unwrap();
    assert_eq!(run(&worker, &equal), 103, "which runs on");
    worker.unregister(&equal).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default());
}

#[test]
fn other_bytes_in_the_same_places_are_other_code() {
    let worker = worker();
    let kept = counting(1);
    let _kept = worker.register(&kept).unwrap();
    for number in 1..6 {
        let (callable, expected) = (counting(number), 100 + i32::try_from(number).unwrap());
        let handles = [(); 3].map(|()| worker.register(&callable).unwrap());
        for handle in &handles {
            assert_eq!(run(&worker, handle), expected);
        }
        handles.iter().for_each(|handle| worker.unregister(handle).unwrap());
    }
}
