//! Small orchestrations that do right and wrong.

use super::*;
use crate::device::Holder;
use crate::device::sim::SimDevice;
use crate::device::sim::test_objects::cxx_bytes;
use crate::graph::builder::KernelSet;
use protocol::{A2a3, CallableId, ContinuousTensor, DataType, FuncId};

/// How long constructors and destructors of well-behaved orchestrations may take.
const LONG: Duration = Duration::from_secs(20);

/// What every source starts with: the binary interface, in as few lines as possible (spec hbg §A4).
const PRELUDE: &str = r#"
#include <cstddef>
#include <cstdint>
#include <stdexcept>
struct Rt;
struct Ops {
    int (*add_task)(Rt *, uint64_t *, int, int, int);
    int (*set_tensor_info_to_task)(Rt *, int, const void *, int);
    void (*add_successor)(Rt *, int, int);
    void (*record_tensor_pair)(Rt *, void *, void *, size_t);
    int (*get_task_count)(Rt *);
    void (*print_runtime)(Rt *);
    void *(*device_malloc)(Rt *, size_t);
    void (*device_free)(Rt *, void *);
    int (*copy_to_device)(Rt *, void *, const void *, size_t);
};
struct Rt { const Ops *ops; };
struct Tensor { uint64_t data; uint32_t shapes[5]; uint32_t ndims; uint8_t dtype, child; uint8_t pad[6]; };
struct Args { Tensor tensors[64]; uint64_t scalars[128]; int32_t tensor_count, scalar_count; };
"#;

/// The bytes of an orchestration with these lines before its entry, which has this body.
fn source(globals: &str, body: &str) -> Vec<u8> {
    let text = format!(
        "{PRELUDE}\n{globals}\nextern \"C\" int build_graph(Rt *rt, const Args &args) {{ \
         (void)args; const Ops &ops = *rt->ops; (void)ops; {body} }}"
    );
    cxx_bytes("host_orchestration", &text)
}

/// An orchestration, and what its runs need.
struct Fixture {
    device: SimDevice<A2a3>,
    memory: RunMemory,
    builder: GraphBuilder,
    arguments: ChipStorageTaskArgs,
}

impl Fixture {
    /// A callable with kernels of func id 0 and 1, run without arguments.
    fn new() -> Self {
        let kernels: KernelSet = [0, 1].map(|id| FuncId::new(id).unwrap()).into_iter().collect();
        Self {
            device: SimDevice::open().unwrap(),
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
    fixture
        .device
        .copy_out(&mut copied, protocol::DeviceAddr::new(fixture.builder.args[0]))
        .unwrap();
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
