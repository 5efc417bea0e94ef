// out = 2 * in + 1, here and in the peer's mailbox; rank 1 takes its time.
// Arguments: in, out: float32; context.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *in = elements<float>(args, 0);
    __gm__ float *out = elements<float>(args, 1);
    __gm__ CommContext *comm = comm_at(args, 2);
    __gm__ float *mailbox = mailbox_of(comm, peer_of(comm));
    linger(comm->rankId * 5000);
    const uint64_t count = element_count(args, 1);
    for (uint64_t i = 0; i < count; ++i) mailbox[i] = out[i] = 2.0f * in[i] + 1.0f;
}
