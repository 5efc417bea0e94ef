// Puts its cell into a peer's mailbox and notifies the peer.
// Arguments: state; address of the peer's mailbox, address of the peer's counter, number of the cell.
#include "defer.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    reinterpret_cast<__gm__ uint64_t *>(args[1])[args[3]] = cells_at(args, 0)[0];
    pto2_send_notification(counter_at(args[2]), 1, pto::comm::NotifyOp::AtomicAdd);
}
