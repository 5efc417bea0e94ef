// See serial_executor.h.
#include "serial_executor.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace {

TaskOutputTensors submit_task(PTO2Runtime *rt, const MixedKernels &kernels, const Arg &args) {
    SerialExecutor &executor = SerialExecutor::of(rt);
    TaskOutputTensors outputs = executor.prepare(args);
    if (executor.fatal_code == 0) executor.run(kernels, args);
    return outputs;
}

TaskOutputTensors alloc(PTO2Runtime *rt, const Arg &args) {
    return SerialExecutor::of(rt).prepare(args);
}

void scope_begin(PTO2Runtime *rt) {
    rt->pending_scope_mode = PTO2ScopeMode::AUTO;
    SerialExecutor::of(rt).open_scopes += 1;
}

void scope_end(PTO2Runtime *rt) { SerialExecutor::of(rt).open_scopes -= 1; }
void orchestration_done(PTO2Runtime *) {}
bool is_fatal(PTO2Runtime *rt) { return SerialExecutor::of(rt).fatal_code != 0; }

void print(const char *func, const char *fmt, va_list args) {
    std::fprintf(stderr, "%s: ", func);
    std::vfprintf(stderr, fmt, args);
    std::fputc('\n', stderr);
}

void report_fatal(PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(func, fmt, args);
    va_end(args);
    SerialExecutor::of(rt).fatal_code = code;
}

void log(const char *func, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(func, fmt, args);
    va_end(args);
}

void log_info_v(const char *func, int, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(func, fmt, args);
    va_end(args);
}

char *element(const Tensor &tensor, uint32_t n, const uint32_t at[]) {
    const uint64_t index = tensor.compute_flat_offset(at, n);
    return reinterpret_cast<char *>(tensor.buffer.addr) + index * get_element_size(tensor.dtype);
}

uint64_t get_data(PTO2Runtime *, const Tensor &tensor, uint32_t n, const uint32_t at[]) {
    uint64_t bits = 0;
    std::memcpy(&bits, element(tensor, n, at), get_element_size(tensor.dtype));
    return bits;
}

void set_data(PTO2Runtime *, const Tensor &tensor, uint32_t n, const uint32_t at[], uint64_t bits) {
    std::memcpy(element(tensor, n, at), &bits, get_element_size(tensor.dtype));
}

const PTO2RuntimeOps table = {
    .submit_task = submit_task,
    .scope_begin = scope_begin,
    .scope_end = scope_end,
    .orchestration_done = orchestration_done,
    .is_fatal = is_fatal,
    .report_fatal = report_fatal,
    .log_error = log,
    .log_warn = log,
    .log_debug = log,
    .log_info_v = log_info_v,
    .get_tensor_data = get_data,
    .set_tensor_data = set_data,
    .alloc_tensors = alloc,
};

}  // namespace

SerialExecutor::SerialExecutor() : prefix{&table, PTO2ScopeMode::AUTO} {}

void SerialExecutor::fail(int32_t code, const char *text) {
    std::fprintf(stderr, "fatal %d: %s\n", code, text);
    fatal_code = code;
}

// Copies the tensors of `args` into a payload, as the runtime does at submit time.
TaskOutputTensors SerialExecutor::prepare(const Arg &args) {
    TaskOutputTensors outputs;
    if (args.has_error) {
        fail(PTO2_ERROR_INVALID_ARGS, args.error_msg);
        return outputs;
    }
    outputs.task_id_ = PTO2TaskId::make(0, static_cast<uint32_t>(tasks++));
    const uint32_t no_shape[1] = {1};
    const Tensor blank = make_tensor_external(nullptr, no_shape, 1);
    payloads.emplace_back(static_cast<size_t>(args.tensor_count()), blank);
    std::vector<Tensor> &payload = payloads.back();
    for (int32_t i = 0; i < args.tensor_count(); ++i) {
        if (args.tag(i) == TensorArgType::OUTPUT) {
            const TensorCreateInfo &info = *args.tensor(i).create_info;
            const uint64_t bytes = (info.buffer_size_bytes() + 1023) / 1024 * 1024;
            memory.emplace_back(new uint64_t[bytes / 8]);
            std::memset(memory.back().get(), 0xff, bytes);
            payload[i].init_output(info, reinterpret_cast<uint64_t>(memory.back().get()), bytes,
                                   outputs.task_id_);
            if (info.has_initial_value) payload[i].fill_initial_value(info.initial_value);
            outputs.tensors_[outputs.output_count_++] = &payload[i];
        } else {
            payload[i] = *args.tensor(i).ptr;
        }
        payload[i].update_start_offset();
        // Fields that mean nothing must not be used.
        Tensor &tensor = payload[i];
        if (tensor.is_raw_eq_shapes) std::memset(tensor.raw_shapes, 0xee, sizeof tensor.raw_shapes);
        if (tensor.is_all_offset_zero) std::memset(tensor.offsets, 0xee, sizeof tensor.offsets);
    }
    return outputs;
}

void SerialExecutor::call(const std::map<int32_t, KernelEntry> &list, int32_t func_id,
                          uint64_t *words) {
    if (func_id == INVALID_KERNEL_ID) return;
    const auto kernel = list.find(func_id);
    if (kernel == list.end()) return fail(PTO2_ERROR_INVALID_ARGS, "no kernel of that id");
    ++kernel_calls;
    kernel->second(reinterpret_cast<int64_t *>(words));
}

// Calls the kernels of the task prepared last, block by block.
void SerialExecutor::run(const MixedKernels &kernels, const Arg &args) {
    std::vector<Tensor> &payload = payloads.back();
    PTO2DispatchPayload dispatch;
    std::memset(static_cast<void *>(&dispatch), 0xee, sizeof dispatch);
    size_t used = 0;
    for (Tensor &tensor : payload) dispatch.args[used++] = reinterpret_cast<uint64_t>(&tensor);
    for (int32_t i = 0; i < args.scalar_count(); ++i) dispatch.args[used++] = args.scalar(i);
    dispatch.args[48] = reinterpret_cast<uint64_t>(&dispatch.local_context);
    dispatch.args[49] = reinterpret_cast<uint64_t>(&dispatch.global_context);
    dispatch.local_context.s_block_num = args.launch_spec.block_num();
    dispatch.local_context.async_ctx = {nullptr, nullptr, nullptr, 0, PTO2TaskId::invalid()};
    for (int32_t block = 0; block < args.launch_spec.block_num(); ++block) {
        dispatch.local_context.s_block_idx = block;
        dispatch.global_context.sub_block_id = 0;
        call(aic_kernels, kernels.aic_kernel_id, dispatch.args);
        call(aiv_kernels, kernels.aiv0_kernel_id, dispatch.args);
        dispatch.global_context.sub_block_id = 1;
        call(aiv_kernels, kernels.aiv1_kernel_id, dispatch.args);
    }
}
