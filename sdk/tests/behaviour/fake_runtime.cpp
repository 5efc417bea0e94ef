// The fake's table of operations.
#include "fake_runtime.h"

namespace {

// Log operations have no runtime argument.
FakeRuntime *current = nullptr;

void record(const char *op, int64_t number = 0) {
    Call call;
    call.op = op;
    call.number = number;
    current->calls.push_back(call);
}

void record_text(const char *op, int64_t number, const char *func, const char *fmt, va_list args) {
    char text[256];
    std::vsnprintf(text, sizeof text, fmt, args);
    record(op, number);
    current->calls.back().func = func;
    current->calls.back().text = text;
}

#define RECORD_TEXT(op, number)                    \
    va_list args;                                  \
    va_start(args, fmt);                           \
    record_text(op, number, func, fmt, args);      \
    va_end(args)

TaskOutputTensors answer(FakeRuntime &fake) {
    TaskOutputTensors result;
    result.task_id_ = PTO2TaskId::make(2, 40 + static_cast<uint32_t>(fake.calls.size()));
    result.output_count_ = 2;
    result.tensors_[0] = fake.outputs[0];
    result.tensors_[1] = fake.outputs[1];
    return result;
}

TaskOutputTensors submit_task(PTO2Runtime *rt, const MixedKernels &kernels, const Arg &args) {
    record("submit_task", args.tensor_count());
    current->calls.back().kernels = kernels;
    return answer(FakeRuntime::of(rt));
}

void scope_begin(PTO2Runtime *rt) {
    record("scope_begin", static_cast<int64_t>(rt->pending_scope_mode));
    rt->pending_scope_mode = PTO2ScopeMode::AUTO;
}

void scope_end(PTO2Runtime *) { record("scope_end"); }
void orchestration_done(PTO2Runtime *) { record("orchestration_done"); }
bool is_fatal(PTO2Runtime *rt) { return FakeRuntime::of(rt).fatal; }

void report_fatal(PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...) {
    RECORD_TEXT("report_fatal", code);
    FakeRuntime::of(rt).fatal = true;
}

void log_error(const char *func, const char *fmt, ...) { RECORD_TEXT("log_error", 0); }
void log_warn(const char *func, const char *fmt, ...) { RECORD_TEXT("log_warn", 0); }
void log_debug(const char *func, const char *fmt, ...) { RECORD_TEXT("log_debug", 0); }
void log_info_v(const char *func, int v, const char *fmt, ...) { RECORD_TEXT("log_info_v", v); }

uint64_t get_tensor_data(PTO2Runtime *rt, const Tensor &tensor, uint32_t n, const uint32_t at[]) {
    record("get_tensor_data", static_cast<int64_t>(tensor.compute_flat_offset(at, n)));
    return FakeRuntime::of(rt).element;
}

void set_tensor_data(PTO2Runtime *, const Tensor &, uint32_t, const uint32_t[], uint64_t value) {
    record("set_tensor_data", static_cast<int64_t>(value));
}

TaskOutputTensors alloc_tensors_op(PTO2Runtime *rt, const Arg &args) {
    record("alloc_tensors", args.tensor_count());
    return answer(FakeRuntime::of(rt));
}

const PTO2RuntimeOps table = {
    .submit_task = submit_task,
    .scope_begin = scope_begin,
    .scope_end = scope_end,
    .orchestration_done = orchestration_done,
    .is_fatal = is_fatal,
    .report_fatal = report_fatal,
    .log_error = log_error,
    .log_warn = log_warn,
    .log_debug = log_debug,
    .log_info_v = log_info_v,
    .get_tensor_data = get_tensor_data,
    .set_tensor_data = set_tensor_data,
    .alloc_tensors = alloc_tensors_op,
};

}  // namespace

FakeRuntime::FakeRuntime() : prefix{&table, PTO2ScopeMode::AUTO} {
    current = this;
    framework_bind_runtime(&prefix);
}
