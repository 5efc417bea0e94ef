//! Small orchestrations that do right and wrong.

use std::io::{Read, Seek};

use protocol::{A2a3, CallableId, ContinuousTensor, DataType, DeviceAddr, FuncId};

use super::*;
use crate::device::Holder;
use crate::device::failing::FailingDevice;
use crate::device::sim::SimDevice;
use crate::graph::KernelSet;
use crate::test_callables::host_orchestration as source;

mod failing_runs;
mod opening;
mod recording;
mod wrong_calls;

/// How long constructors and destructors of well-behaved orchestrations may take.
const LONG: Duration = Duration::from_secs(20);

/// An orchestration, and what its runs need.
struct Fixture {
    device: FailingDevice<SimDevice<A2a3>>,
    memory: RunMemory,
    builder: GraphBuilder,
    arguments: ChipStorageTaskArgs,
}

impl Fixture {
    /// A callable with kernels of func id 0 and 1, run without arguments.
    fn new() -> Self {
        let kernels: KernelSet = [0, 1].map(|id| FuncId::new(id).unwrap()).into_iter().collect();
        Self {
            device: FailingDevice::new(SimDevice::open().unwrap()),
            memory: RunMemory::new(CallableId::new(3).unwrap()),
            builder: GraphBuilder::new(kernels),
            arguments: ChipStorageTaskArgs::new(),
        }
    }

    /// Passes host memory as the next tensor.
    fn pass(&mut self, words: &mut [u64]) {
        let data = words.as_mut_ptr().expose_provenance() as u64;
        let mut tensor = ContinuousTensor { data, ndims: 1, ..Default::default() };
        tensor.shapes[0] = u32::try_from(words.len()).unwrap();
        tensor.dtype = DataType::Uint64 as u8;
        self.arguments.push_tensor(tensor).unwrap();
    }

    /// Passes scalars in place of those that were passed before.
    fn set_scalars(&mut self, scalars: &[u64]) {
        self.arguments.scalar_count = 0;
        scalars.iter().for_each(|scalar| self.arguments.push_scalar(*scalar).unwrap());
    }

    fn build(&mut self, orchestration: &HostOrchestration) -> Result<Built, BuildError> {
        self.build_as(orchestration, BuildMode::Run)
    }

    fn build_as(
        &mut self,
        orchestration: &HostOrchestration,
        mode: BuildMode,
    ) -> Result<Built, BuildError> {
        let Self { device, memory, builder, arguments } = self;
        // SAFETY: tests pass memory that is alive, and use it in the call only.
        unsafe { orchestration.build(device, memory, builder, arguments, mode) }
    }
}

fn open(globals: &str, body: &str) -> HostOrchestration {
    HostOrchestration::open(&source(globals, body), "build_graph", LONG).unwrap()
}

#[test]
fn an_entry_builds_a_graph_copies_inputs_and_names_outputs() {
    let body = r#"
        void *in = ops.device_malloc(rt, 32);
        void *out = ops.device_malloc(rt, 32);
        if (ops.copy_to_device(rt, in, (void *)args.tensors[0].data, 32) != 0) return 1;
        ops.record_tensor_pair(rt, (void *)args.tensors[1].data, out, 32);
        uint64_t words[] = {(uint64_t)in, (uint64_t)out, args.scalars[0]};
        int first = ops.add_task(rt, words, 3, 1, 1);
        int second = ops.add_task(rt, nullptr, 0, 0, 0);
        ops.add_successor(rt, first, second);
        return ops.get_task_count(rt) == 2 ? 0 : 2;
    "#;
    let orchestration = open("", body);
    let (mut input, mut output) = ([3_u64, 4, 5, 6], [9_u64; 4]);
    let mut fixture = Fixture::new();
    fixture.pass(&mut input);
    fixture.pass(&mut output);
    fixture.arguments.push_scalar(77).unwrap();
    let built = fixture.build(&orchestration).unwrap();
    assert_eq!((fixture.builder.task_count(), fixture.builder.edge_count()), (2, 1));
    assert_eq!(built.copies, Copies { count: 1, bytes: 32 });
    let [out] = built.outputs[..] else { panic!("{built:?}") };
    assert_eq!((out.host, out.bytes), (output.as_ptr().addr(), 32));
    assert_eq!(fixture.builder.args[1..], [out.device.raw(), 77]);
    let mut copied = [0; 32];
    fixture.device.copy_out(&mut copied, DeviceAddr::new(fixture.builder.args[0])).unwrap();
    assert_eq!(copied[8], 4);
    fixture.device.copy_in(out.device, &[1; 32]).unwrap();
    // SAFETY: the output is alive, and nobody uses it.
    unsafe { built.copy_back(&fixture.device) }.unwrap();
    assert_eq!(output, [u64::from_ne_bytes([1; 8]); 4]);
    let holder = Holder::Tensors(CallableId::new(3).unwrap());
    assert_eq!(fixture.device.memory_report().of(holder).unwrap().allocations, 1);
    fixture.memory.give_back(&fixture.device).unwrap();
    assert_eq!(fixture.device.usage().allocations, 0);
    orchestration.close().unwrap();
}

#[test]
fn the_graph_depends_on_what_the_arguments_hold_and_gets_the_same_addresses() {
    let body = r#"
        const auto *lengths = (const uint64_t *)args.tensors[0].data;
        void *scratch = ops.device_malloc(rt, 64);
        for (uint64_t i = 0; i < lengths[0]; i++) {
            uint64_t words[] = {(uint64_t)ops.device_malloc(rt, lengths[1]), (uint64_t)scratch};
            int task = ops.add_task(rt, words, 2, 0, 1);
            if (task > 0) ops.add_successor(rt, task - 1, task);
        }
        return 0;
    "#;
    let orchestration = open("", body);
    let mut lengths = [3_u64, 2000];
    let mut fixture = Fixture::new();
    fixture.pass(&mut lengths);
    let mut run = |tasks, bytes| {
        lengths = [tasks, bytes];
        fixture.build(&orchestration).unwrap();
        assert_eq!(fixture.builder.task_count() as u64, tasks);
        assert_eq!(fixture.builder.edge_count() as u64, tasks.saturating_sub(1));
        fixture.builder.args.clone()
    };
    let three = run(3, 2000);
    let many = run(40, 300_000);
    assert_eq!(run(0, 1), Vec::<u64>::new());
    assert_eq!(run(40, 300_000), many);
    assert_eq!(run(3, 2000), three);
}

#[test]
fn any_number_of_outputs_is_kept_in_order_also_in_memory_of_the_user() {
    let body = r#"
        uint64_t *host = (uint64_t *)args.tensors[0].data;
        char *own = (char *)ops.device_malloc(rt, 8 * 1000);
        for (int i = 0; i < 1000; i++) ops.record_tensor_pair(rt, host + i, own + 8 * i, 8);
        ops.record_tensor_pair(rt, host, (void *)args.tensors[1].data, 16);
        ops.record_tensor_pair(rt, nullptr, nullptr, 0);
        return ops.copy_to_device(rt, (void *)args.tensors[1].data, host + 500, 16);
    "#;
    let orchestration = open("", body);
    let mut host: Vec<u64> = (0..1000).collect();
    let mut fixture = Fixture::new();
    fixture.pass(&mut host);
    let user = fixture.device.allocate(16, Holder::User).unwrap();
    let mut tensor = ContinuousTensor { data: user.raw(), ndims: 1, ..Default::default() };
    (tensor.shapes[0], tensor.dtype, tensor.child_memory) = (2, DataType::Uint64 as u8, 1);
    fixture.arguments.push_tensor(tensor).unwrap();
    let built = fixture.build(&orchestration).unwrap();
    assert_eq!(built.outputs.len(), 1001);
    let first = built.outputs[0];
    for (index, output) in built.outputs[..1000].iter().enumerate() {
        assert_eq!(output.host, first.host + 8 * index);
        assert_eq!((output.device.raw(), output.bytes), (first.device.raw() + 8 * index as u64, 8));
    }
    assert_eq!(built.outputs[1000], Output { host: first.host, device: user, bytes: 16 });
    // SAFETY: the outputs are alive, and nobody uses them.
    unsafe { built.copy_back(&fixture.device) }.unwrap();
    // New memory is zero; the last output is what had been copied to the user's memory.
    assert_eq!(host[..3], [500, 501, 0]);
    assert!(host[2..].iter().all(|word| *word == 0));
}

#[test]
fn a_listing_says_every_task_and_edge_to_those_who_listen() {
    let body = r#"
        uint64_t words[] = {11, 12};
        ops.add_task(rt, words, 2, 1, 1);
        ops.add_task(rt, words + 1, 1, 0, 0);
        ops.add_successor(rt, 0, 1);
        ops.print_runtime(rt);
        return 0;
    "#;
    let orchestration = open("", body);
    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(Arc::clone(&log))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        Fixture::new().build(&orchestration).unwrap();
    });
    let mut text = String::new();
    (&*log).rewind().unwrap();
    (&*log).read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" hbg: ")).collect();
    let [graph, first, second] = lines[..] else { panic!("{text}") };
    assert!(graph.ends_with("the graph so far tasks=2 edges=1"), "{graph}");
    assert!(
        first.ends_with("task=0 func_id=1 core_type=1 args=[11, 12] successors=[1]"),
        "{first}"
    );
    assert!(second.ends_with("task=1 func_id=0 core_type=0 args=[12] successors=[]"), "{second}");
}

#[test]
fn orchestrations_on_several_threads_build_graphs_of_their_own() {
    let body = r#"
        for (uint64_t i = 0; i < args.scalars[0]; i++) {
            uint64_t words[] = {i, args.scalars[0]};
            if (ops.add_task(rt, words, 2, 0, 1) != (int)i) return 1;
        }
        return 0;
    "#;
    let orchestration = open("", body);
    std::thread::scope(|scope| {
        for tasks in 100..104 {
            let orchestration = &orchestration;
            scope.spawn(move || {
                let mut fixture = Fixture::new();
                fixture.set_scalars(&[tasks]);
                for _ in 0..50 {
                    fixture.build(orchestration).unwrap();
                    let words: Vec<u64> = (0..tasks).flat_map(|i| [i, tasks]).collect();
                    assert_eq!(fixture.builder.args, words);
                }
            });
        }
    });
}
