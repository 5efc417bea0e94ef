// Tells the peer that its mailbox is full. Arguments: out, for the order alone; context.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = comm_at(args, 1);
    pto2_send_notification(counter_of(comm, peer_of(comm)), 1, pto::comm::NotifyOp::AtomicAdd);
}
