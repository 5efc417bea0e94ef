//! Many threads on one device, each with its own callable and memory, all of it at once.

use super::placed::{Placed, int_at};
use super::*;
use crate::test_callables::store_kernel;

#[test]
fn threads_that_come_and_go_together_do_not_see_one_another() {
    const ROUNDS: i32 = 12;
    let device = SimDevice::<A2a3>::open().unwrap();
    let image = orchestration("store(0, args.scalars[0], args.scalars[1]);");
    // Two of the threads use the same kernel, so that its loads and unloads meet.
    let callables = [1, 2, 2].map(|each| callable(image.clone(), vec![store_kernel(0, each)]));
    std::thread::scope(|scope| {
        for ((id, offset), callable) in [(0, 1), (1, 2), (2, 2)].into_iter().zip(&callables) {
            let device = &device;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mut placed = Placed::new(device, id, callable);
                    placed.generation = round.unsigned_abs() + 1;
                    placed.load(device).unwrap();
                    let holder = Holder::Tensors(placed.id);
                    let output = device.allocate(4, holder).unwrap();
                    let scalars = [output.raw(), round.unsigned_abs().into()];
                    for _ in 0..2 {
                        device.copy_in(output, &[0xFF; 4]).unwrap();
                        let outcome = placed.run(device, &scalars, &launch()).unwrap();
                        assert_eq!(outcome.fault, None);
                        assert_eq!(int_at(device, output), round + offset);
                    }
                    let report = device.memory_report();
                    assert_eq!(report.of(holder).unwrap().bytes, 4);
                    let sum: usize = report.holders.iter().map(|usage| usage.bytes).sum();
                    assert_eq!(report.bytes, sum);
                    device.free(output).unwrap();
                    placed.give_back(device);
                }
            });
        }
    });
    assert_eq!((device.usage(), device.loaded_code()), (DeviceUsage::default(), vec![]));
}
