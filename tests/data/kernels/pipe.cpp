// Adds its value to storage of the cluster under a fixed key, waits until `expected` kernels of this
// process have done so, and writes what the storage holds.
// Arguments: out; address of the counter, expected, value.
#include "windows.h"

static void *(*pipe_shared_state)(uint64_t key, size_t bytes);

extern "C" __attribute__((visibility("default"))) void pto_sim_register_hooks(void *, void *shared) {
    pipe_shared_state = reinterpret_cast<void *(*)(uint64_t, size_t)>(shared);
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    auto *counter = reinterpret_cast<uint64_t *>(args[1]);
    const auto expected = static_cast<uint64_t>(args[2]);
    auto *storage = static_cast<uint64_t *>(pipe_shared_state(0x0102030400000040u, 64));
    __atomic_add_fetch(storage, static_cast<uint64_t>(args[3]), __ATOMIC_SEQ_CST);
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    const uint64_t end = nanoseconds() + 10000000000u;
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < expected) {
        if (nanoseconds() > end) return;
        linger(20);
    }
    cells_at(args, 0)[0] = __atomic_load_n(storage, __ATOMIC_SEQ_CST);
}
