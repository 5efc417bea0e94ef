// Says with a 2 in the flag that it is here, waits until somebody else writes a 1, and then writes 1
// to its cell. Words: out: uint64; address of the flag.
#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    auto *flag = reinterpret_cast<uint32_t *>(args[1]);
    uint32_t unset = 0;
    __atomic_compare_exchange_n(flag, &unset, 2, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != 1) {
        const timespec pause{0, 200000};
        nanosleep(&pause, nullptr);
    }
    *memory_at<uint64_t>(args, 0) = 1;
}
