// Writes rank, ranks, bytes of a window, bytes of the work space, the first word of the work space,
// then the first cell of each rank's window, by either list of windows.
// Arguments: out; context.
#include "windows.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = comm_at(args, 1);
    __gm__ uint64_t *out = cells_at(args, 0);
    *out++ = comm->rankId;
    *out++ = comm->rankNum;
    *out++ = comm->winSize;
    *out++ = comm->workSpaceSize;
    *out++ = *reinterpret_cast<__gm__ uint64_t *>(comm->workSpace);
    for (uint32_t rank = 0; rank < comm->rankNum; rank++) {
        *out++ = *reinterpret_cast<__gm__ uint64_t *>(comm->windowsIn[rank]);
        *out++ = *reinterpret_cast<__gm__ uint64_t *>(comm->windowsOut[rank]);
    }
}
