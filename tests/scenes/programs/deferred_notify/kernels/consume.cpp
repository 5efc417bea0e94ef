// result = own mailbox + 1. Arguments: token, result: float32; context.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ float *result = elements<float>(args, 1);
    __gm__ CommContext *comm = comm_at(args, 2);
    const __gm__ float *mailbox = mailbox_of(comm, comm->rankId);
    const uint64_t count = element_count(args, 1);
    for (uint64_t i = 0; i < count; ++i) result[i] = mailbox[i] + 1.0f;
}
