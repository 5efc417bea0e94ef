// Raises a counter twice. Arguments: counters: uint32, one in each cache line; number of the
// counter, microseconds to take before each time.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    volatile __gm__ uint32_t *counter =
        elements<uint32_t>(args, 0) + 16 * scalar_at<uint64_t>(args, 1);
    for (int turn = 0; turn < 2; ++turn) {
        linger(scalar_at<uint64_t>(args, 2));
        pto2_send_notification(counter, 1, pto::comm::NotifyOp::AtomicAdd);
    }
}
