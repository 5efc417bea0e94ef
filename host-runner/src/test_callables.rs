//! Callables for tests, from sources that use the raw ABI: no header of ours is needed.

use protocol::{CoreType, FuncId};

use crate::callable::{Callable, KernelImage};
use crate::device::sim::test_objects::cxx_bytes;
use crate::runtime_name::RuntimeName;

/// What every orchestration source starts with: the runtime object and a task of two scalars
/// (spec trb §1.2-1.5).
const PRELUDE: &str = r#"
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <time.h>
struct Ops;
struct Runtime { const Ops *ops; };
struct Outputs { uint64_t words[18]; };
struct Kernels { int32_t aic, aiv0, aiv1; };
struct Arg {
    int32_t tags[16]; uint64_t tensors[16]; uint64_t scalars[32];
    int32_t tensor_count, scalar_count; uint8_t has_error; uint64_t error_msg;
    int16_t block_num; uint8_t sync_start; uint32_t reserved;
    uint64_t deps[16]; uint32_t dep_count;
};
static_assert(sizeof(Arg) == 616, "the record of the ABI");
struct Ops {
    Outputs (*submit)(Runtime *, const Kernels &, const Arg &);
    void *pad[4];
    void (*fatal)(Runtime *, int32_t, const char *, const char *, ...);
};
struct Tensor { uint64_t data; uint32_t shapes[5]; uint32_t ndims; uint64_t flags; };
struct Args { Tensor tensors[64]; uint64_t scalars[128]; int32_t tensor_count, scalar_count; };
struct Config { int32_t expected; };
static Runtime *runtime;
extern "C" void framework_bind_runtime(Runtime *bound) { runtime = bound; }
static void store(int32_t func, uint64_t address, uint64_t value) {
    Arg arg; std::memset(&arg, 0, sizeof arg);
    arg.scalars[0] = address; arg.scalars[1] = value; arg.scalar_count = 2; arg.block_num = 1;
    runtime->ops->submit(runtime, Kernels{-1, func, -1}, arg);
}
"#;

/// Writes its second argument, plus `offset`, to the address that is its first.
pub(crate) fn store_kernel(func_id: i64, offset: u32) -> KernelImage {
    kernel(
        func_id,
        &format!(
            "extern \"C\" void kernel_entry(long *args) {{ \
             *reinterpret_cast<volatile int *>(args[0]) = int(args[1]) + {offset}; }}"
        ),
    )
}

/// A vector kernel from a source.
pub(crate) fn kernel(func_id: i64, source: &str) -> KernelImage {
    KernelImage {
        func_id: FuncId::new(func_id).expect("a valid func id"),
        core_type: CoreType::Aiv,
        binary: cxx_bytes("kernel", source),
        name: format!("kernel_{func_id}"),
    }
}

/// The bytes of an orchestration whose entry has this body.
pub(crate) fn orchestration(body: &str) -> Vec<u8> {
    orchestration_with("", body)
}

/// The bytes of an orchestration with these lines before its entry, which has this body.
pub(crate) fn orchestration_with(globals: &str, body: &str) -> Vec<u8> {
    let source = format!(
        "{PRELUDE}\n{globals}\nextern \"C\" void aicpu_orchestration_entry(const Args &args) {{ \
         (void)args; {body} }}"
    );
    cxx_bytes("orchestration", &source)
}

/// The bytes of an orchestration with this body whose config expects `expected` arguments.
pub(crate) fn orchestration_expecting(expected: i32, body: &str) -> Vec<u8> {
    let source = format!(
        "{PRELUDE}\nextern \"C\" Config aicpu_orchestration_config(const Args &) {{ return \
         {{ {expected} }}; }}\nextern \"C\" void aicpu_orchestration_entry(const Args &args) \
         {{ (void)args; {body} }}"
    );
    cxx_bytes("orchestration", &source)
}

/// What every source of an orchestration on the host starts with: the binary interface, in as few lines as
/// possible (spec hbg §A4).
const HOST_PRELUDE: &str = r#"
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <thread>
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

/// The name of the entry of [`host_orchestration`].
pub(crate) const HOST_ENTRY: &str = "build_graph";

/// The bytes of an orchestration that runs on the host, with these lines before its entry, which has this
/// body.
pub(crate) fn host_orchestration(globals: &str, body: &str) -> Vec<u8> {
    let text = format!(
        "{HOST_PRELUDE}\n{globals}\nextern \"C\" int {HOST_ENTRY}(Rt *rt, const Args &args) {{ \
         (void)args; const Ops &ops = *rt->ops; (void)ops; {body} }}"
    );
    cxx_bytes("host_orchestration", &text)
}

/// A callable whose orchestration runs on the host and has this body.
pub(crate) fn host_callable(body: &str, kernels: Vec<KernelImage>) -> Callable {
    let builder = Callable::builder(host_orchestration("", body)).name("test").entry(HOST_ENTRY);
    kernels
        .into_iter()
        .fold(builder.runtime(RuntimeName::Hbg), crate::callable::CallableBuilder::kernel)
        .build()
        .expect("the parts fit together")
}

/// A callable from its parts.
pub(crate) fn callable(orchestration: Vec<u8>, kernels: Vec<KernelImage>) -> Callable {
    let builder = Callable::builder(orchestration).name("test");
    kernels
        .into_iter()
        .fold(builder, crate::callable::CallableBuilder::kernel)
        .build()
        .expect("the parts fit together")
}

/// Stores its scalar into the first element of its tensor, by a kernel that adds `offset`.
pub(crate) fn storing(offset: u32) -> Callable {
    callable(
        orchestration("store(0, args.tensors[0].data, args.scalars[0]);"),
        vec![store_kernel(0, offset)],
    )
}
