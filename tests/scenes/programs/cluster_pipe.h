// A pipe between the cube core and the two vector cores of a cluster: a ring of slots in the
// storage that the simulator shares among the cores of a cluster (spec trb §7.6).
//
// All producers fill a part of each slot, all consumers read each slot; a slot is there when the
// slowest producer has pushed it and free when the slowest consumer has popped it. The storage
// outlives the task, so a producer may run ahead of its consumers by the slots of the pipe, into
// its next task. Storage starts as zeros, which is an empty pipe.
#pragma once

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cluster_pipe {

// No peer is this late; a pipe that waits for longer says so instead of blocking the core for ever.
constexpr time_t PATIENCE_SECONDS = 10;

static uint32_t (*sub_block_hook)() = nullptr;
static void *(*shared_state_hook)(uint64_t key, size_t bytes) = nullptr;

// 0 or 1 on vector cores, 0 on the cube core; as the simulator says, not the task's arguments.
static inline uint32_t sub_block_id() { return sub_block_hook(); }

// The name of a pipe: flag id, direction, slots, local slots (none) and size of a slot.
constexpr uint64_t pipe_key(uint8_t flag_id, uint8_t direction, uint8_t slots, uint32_t bytes) {
    return uint64_t{flag_id} << 56 | uint64_t{direction} << 48 | uint64_t{slots} << 40 | bytes;
}

template <typename Slot, uint32_t SLOTS, uint32_t PRODUCERS, uint32_t CONSUMERS>
struct Pipe {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t pushed[PRODUCERS];  // slots so far, of each producer
    uint64_t popped[CONSUMERS];  // and of each consumer
    alignas(64) Slot slots[SLOTS];

    // The pipe of this core's cluster under a flag id; null if the simulator gives no storage.
    static Pipe *of_cluster(uint8_t flag_id) {
        const uint8_t direction = PRODUCERS == 1 ? 1 : 2;
        return static_cast<Pipe *>(
            shared_state_hook(pipe_key(flag_id, direction, SLOTS, sizeof(Slot)), sizeof(Pipe)));
    }

    // The slot to fill next; null if none becomes free.
    Slot *begin_push(uint32_t producer) {
        const uint64_t turn = pushed[producer];
        const bool is_free = wait([&] { return turn - slowest(popped) < SLOTS; });
        return is_free ? &slots[turn % SLOTS] : nullptr;
    }

    void end_push(uint32_t producer) { advance(pushed[producer]); }

    // The slot to read next; null if nothing comes.
    const Slot *front(uint32_t consumer) {
        const uint64_t turn = popped[consumer];
        const bool is_there = wait([&] { return slowest(pushed) > turn; });
        return is_there ? &slots[turn % SLOTS] : nullptr;
    }

    void pop(uint32_t consumer) { advance(popped[consumer]); }

private:
    template <size_t COUNT>
    static uint64_t slowest(const uint64_t (&cursors)[COUNT]) {
        return *std::min_element(cursors, cursors + COUNT);
    }

    template <typename Condition>
    bool wait(Condition condition) {
        timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += PATIENCE_SECONDS;
        pthread_mutex_lock(&lock);
        int error = 0;
        while (!condition() && error == 0) error = pthread_cond_timedwait(&moved, &lock, &end);
        const bool held = condition();
        pthread_mutex_unlock(&lock);
        return held;
    }

    void advance(uint64_t &cursor) {
        pthread_mutex_lock(&lock);
        ++cursor;
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&lock);
    }
};

}  // namespace cluster_pipe

// The simulator calls this when it has loaded the kernel.
extern "C" void pto_sim_register_hooks(void *get_subblock_id, void *get_pipe_shared_state) {
    cluster_pipe::sub_block_hook = reinterpret_cast<uint32_t (*)()>(get_subblock_id);
    cluster_pipe::shared_state_hook =
        reinterpret_cast<void *(*)(uint64_t, size_t)>(get_pipe_shared_state);
}
