//! The memory report of a worker against the model's figures.

use std::sync::LazyLock;

use host_runner::worker::{MemoryReport, MemoryUse, Worker};

use crate::bench::{FOREIGN, IN_FLIGHT_BYTES};
use crate::model::Model;
use crate::programs::Part;

/// Bytes of code that each loaded program takes: all images have one size.
static CODE_BYTES: LazyLock<usize> = LazyLock::new(|| {
    let report = FOREIGN.0.memory_report();
    let (allocations, bytes) = held(&report, "code");
    assert!(allocations == 1 && bytes > 0, "{report:?}");
    bytes
});

/// Allocations of a holder that there is one of, and their bytes.
fn held(report: &MemoryReport, holder: &str) -> (usize, usize) {
    let found = report.holders.iter().filter(|it| it.holder == holder);
    let all: Vec<_> = found.map(|it| (it.allocations, it.bytes)).collect();
    assert!(all.len() <= 1, "{report:?}");
    all.first().copied().unwrap_or_default()
}

fn sum(sizes: impl Iterator<Item = usize>) -> (usize, usize) {
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

/// The report says what the model says, while nothing moves.
pub(crate) fn check(worker: &Worker, model: &Model) {
    let report = worker.memory_report();
    let parts = model.parts();
    let (images, kernels): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|(part, _)| matches!(part, Part::Image(_)));
    let sizes = |parts: Vec<(Part, usize)>| sum(parts.into_iter().map(|(_, bytes)| bytes));
    assert_eq!(held(&report, "orchestrations"), sizes(images));
    assert_eq!(held(&report, "kernels"), sizes(kernels));
    assert_eq!(held(&report, "user"), sum(model.allocated().iter().map(Vec::len)));
    let buffers = model.buffers();
    assert_eq!(held(&report, "code"), (buffers.len(), buffers.len() * *CODE_BYTES));

    let tensors = |it: &&MemoryUse| it.holder == "tensors";
    let found = report.holders.iter().filter(tensors).map(|it| {
        let id = usize::try_from(it.callable_id.unwrap()).unwrap();
        (id, it.callable.is_some(), it.allocations, it.bytes)
    });
    let expected = buffers.into_iter().filter(|(_, (_, sizes))| !sizes.is_empty());
    let expected = expected
        .map(|(id, (is_registered, sizes))| (id, is_registered, sizes.len(), sizes.iter().sum()));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "tensors");

    let arenas = held(&report, "run arenas").1;
    assert_eq!(report.arena_reserved_bytes, arenas);
    assert_eq!(report.bytes, report.holders.iter().map(|it| it.bytes).sum::<usize>());
    let usage = model.usage();
    assert_eq!(report.bytes, usage.bytes + arenas + held(&report, "code").1);
    assert!(report.high_water_bytes >= report.bytes);
    assert!(report.holders.iter().all(|it| it.high_water_bytes >= it.bytes));

    let (runs, bytes) = model.in_flight();
    assert_eq!((report.queue.runs, report.queue.bytes), (runs, bytes), "runs in flight");
    assert_eq!(report.queue.limit_bytes, IN_FLIGHT_BYTES);
    assert!(report.queue.high_water_bytes <= IN_FLIGHT_BYTES);
}
