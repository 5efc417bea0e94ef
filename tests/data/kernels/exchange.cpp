// Gives every rank its values, waits for those of all ranks, and writes their sums.
// Arguments: out; context, first value, round (from 1).
//
// A window has a signal, and two sets of slots that rounds use in turn: a rank that is a round
// ahead must not write where a slower one still reads.
#include "windows.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = comm_at(args, 1);
    const auto first = static_cast<uint64_t>(args[2]);
    const auto round = static_cast<uint32_t>(args[3]);
    const uint32_t count = count_at(args, 0);
    const uint64_t set = uint64_t{round % 2} * comm->rankNum * count;
    for (uint32_t rank = 0; rank < comm->rankNum; rank++) {
        __gm__ uint64_t *slot = cells_of(comm, rank) + set + uint64_t{comm->rankId} * count;
        for (uint32_t i = 0; i < count; i++) slot[i] = first + i;
        __atomic_add_fetch(signal_of(comm, rank), 1, __ATOMIC_RELEASE);
    }
    const uint32_t expected = round * comm->rankNum;
    const uint64_t end = nanoseconds() + 10000000000u;
    while (__atomic_load_n(signal_of(comm, comm->rankId), __ATOMIC_ACQUIRE) < expected) {
        // The cells stay as they were: the test sees that nobody came.
        if (nanoseconds() > end) return;
        linger(20);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sum = 0;
        for (uint32_t rank = 0; rank < comm->rankNum; rank++) {
            sum += cells_of(comm, comm->rankId)[set + uint64_t{rank} * count + i];
        }
        cells_at(args, 0)[i] = sum;
    }
}
