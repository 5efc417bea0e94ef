// Waits for a flag, and then writes its rank plus 100 into the first cell of every window.
// Arguments: out; context, address of the flag.
#include "windows.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = comm_at(args, 1);
    auto *flag = reinterpret_cast<uint32_t *>(args[2]);
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) linger(200);
    for (uint32_t rank = 0; rank < comm->rankNum; rank++) {
        *reinterpret_cast<__gm__ uint64_t *>(comm->windowsIn[rank]) = 100 + comm->rankId;
    }
    cells_at(args, 0)[0] = 1;
    // Says that it has written.
    __atomic_store_n(flag, 2, __ATOMIC_RELEASE);
}
