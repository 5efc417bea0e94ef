// Notifies a counter, after some time.
// Arguments: address of the counter, value, whether it is set to it and not raised by it, pause.
#include "defer.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    linger(static_cast<uint64_t>(args[3]));
    pto2_send_notification(counter_at(args[0]), static_cast<int32_t>(args[1]),
                           args[2] != 0 ? pto::comm::NotifyOp::Set : pto::comm::NotifyOp::AtomicAdd);
}
