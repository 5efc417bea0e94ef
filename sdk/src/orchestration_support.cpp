// The one translation unit linked into every orchestration.
//
// It holds what headers cannot: the bound runtime, and the cold path of assertions. Exports
// `framework_bind_runtime` and nothing else. Source: spec trb §1.2.
#include <cstdio>

#include "simpler/assertion.h"
#include "simpler/log.h"
#include "simpler/runtime_ops.h"

namespace {
// A plain global, not thread_local: one thread runs the orchestration, binds before the entry and
// unbinds after it, and the loader refuses images with thread-local storage.
PTO2Runtime *bound_runtime = nullptr;
}  // namespace

void framework_bind_runtime(PTO2Runtime *rt) { bound_runtime = rt; }

PTO2Runtime *framework_current_runtime() { return bound_runtime; }

namespace simpler {
void assertion_failed(const char *condition, const char *file, int line, const char *function) {
    // Long conditions are cut; the start says enough.
    char message[512];
    std::snprintf(message, sizeof message, "assertion failed: %s, in %s at %s:%d", condition,
                  function, file, line);
    LOG_ERROR("%s", message);
    throw AssertionError(message);
}
}  // namespace simpler
