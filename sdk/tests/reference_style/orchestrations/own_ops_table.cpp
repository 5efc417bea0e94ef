// A unit test's view of the interface: its own table of operations under the public wrappers.
#include <stdarg.h>
#include <stdio.h>

#include "pto_orchestration_api.h"

namespace {

struct FakeRuntime {
    const PTO2RuntimeOps *ops;
    PTO2ScopeMode pending_scope_mode = PTO2ScopeMode::AUTO;
    int32_t fatal_code = 0;
    char message[64] = {};
};

FakeRuntime *fake(PTO2Runtime *rt) { return reinterpret_cast<FakeRuntime *>(rt); }

TaskOutputTensors submit(PTO2Runtime *, const MixedKernels &, const Arg &) { return {}; }
void scope(PTO2Runtime *) {}
bool is_fatal(PTO2Runtime *rt) { return fake(rt)->fatal_code != 0; }
void report(PTO2Runtime *rt, int32_t code, const char *, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(fake(rt)->message, sizeof fake(rt)->message, fmt, args);
    va_end(args);
    fake(rt)->fatal_code = code;
}
void log(const char *, const char *, ...) {}
void log_v(const char *, int, const char *, ...) {}
uint64_t get(PTO2Runtime *, const Tensor &, uint32_t, const uint32_t[]) { return 0; }
void set(PTO2Runtime *, const Tensor &, uint32_t, const uint32_t[], uint64_t) {}
TaskOutputTensors alloc(PTO2Runtime *, const Arg &) { return TaskOutputTensors{}; }

const PTO2RuntimeOps kOps = {
    .submit_task = submit,
    .scope_begin = scope,
    .scope_end = scope,
    .orchestration_done = scope,
    .is_fatal = is_fatal,
    .report_fatal = report,
    .log_error = log,
    .log_warn = log,
    .log_debug = log,
    .log_info_v = log_v,
    .get_tensor_data = get,
    .set_tensor_data = set,
    .alloc_tensors = alloc,
};

}  // namespace

// A redeclaration, as test sources have it.
extern "C" void framework_bind_runtime(PTO2Runtime *rt);
extern "C" PTO2Runtime *framework_current_runtime(void);

extern "C" int run_with_own_table() {
    FakeRuntime runtime{&kOps};
    framework_bind_runtime(reinterpret_cast<PTO2Runtime *>(&runtime));
    if (framework_current_runtime()->ops != &kOps) return 1;
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "code %d", 9);
    framework_bind_runtime(nullptr);
    return runtime.fatal_code == PTO2_ERROR_EXPLICIT_ORCH_FATAL ? 0 : 1;
}
