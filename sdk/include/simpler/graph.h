// Building a graph: memory, tasks, edges and outputs.
//
// `rt` is the entry's first argument, good until the entry returns and on its thread alone. A wrong
// call (an unknown kernel, an edge to a task that is not there, memory of somebody else) gives -1 or
// does nothing, and fails the run with a message that names the call, also where the entry goes on
// and returns 0. Source: spec hbg §A4.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simpler/graph_ops.h"

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

// Adds a task: one call of kernel `func_id` on a core of this type, with up to 16 words of
// arguments, which are copied: device addresses, and scalars as bit patterns (to_u64). Returns its
// number, counted from 0, or -1.
inline int add_task(OrchestrationRuntime *rt, uint64_t *args, int num_args, int func_id,
                    CoreType core_type) {
    return rt->ops->add_task(rt, args, num_args, func_id, core_type);
}

// Says what up to 16 tensors of a task look like, in the order of its tensor arguments. Returns 0, or
// -1 if there is no such task, no array or too many of them; none of them is 0 and says nothing.
inline int set_tensor_info_to_task(OrchestrationRuntime *rt, int task_id,
                                   const TensorInfo *tensor_info, int tensor_count) {
    return rt->ops->set_tensor_info_to_task(rt, task_id, tensor_info, tensor_count);
}

// Both in one call. Returns the number of the task; -1 if it was not added, or if it was and what
// its tensors look like was refused.
inline int add_task_with_tensor_info(OrchestrationRuntime *rt, uint64_t *args, int num_args,
                                     int func_id, CoreType core_type,
                                     const TensorInfo *tensor_info, int tensor_count) {
    const int task_id = add_task(rt, args, num_args, func_id, core_type);
    if (task_id < 0) return -1;
    return set_tensor_info_to_task(rt, task_id, tensor_info, tensor_count) == 0 ? task_id : -1;
}

// Has `to_task` wait for `from_task`. Any number of successors; the same edge twice is one edge.
// Nothing else orders tasks: two tasks that share memory need an edge or a path of them.
inline void add_successor(OrchestrationRuntime *rt, int from_task, int to_task) {
    rt->ops->add_successor(rt, from_task, to_task);
}

// Marks an output: when all tasks are done, `size` bytes of `dev_ptr` go to `host_ptr`. Any number of
// outputs; if the run fails, none is written.
inline void record_tensor_pair(OrchestrationRuntime *rt, void *host_ptr, void *dev_ptr,
                               size_t size) {
    rt->ops->record_tensor_pair(rt, host_ptr, dev_ptr, size);
}

// Number of tasks so far.
inline int get_task_count(OrchestrationRuntime *rt) { return rt->ops->get_task_count(rt); }

// Writes the graph so far to the log, at level debug.
inline void print_runtime(OrchestrationRuntime *rt) { rt->ops->print_runtime(rt); }

// `size` bytes of device memory for this run, or null if there is not so much. It ends with the run:
// freeing it is not necessary. What is in it is undefined.
inline void *device_malloc(OrchestrationRuntime *rt, size_t size) {
    return rt->ops->device_malloc(rt, size);
}

// Gives memory back before the run ends, for the next device_malloc. No task of the graph may use
// it, as none has run yet; of use for memory that turns out not to be needed.
inline void device_free(OrchestrationRuntime *rt, void *dev_ptr) {
    rt->ops->device_free(rt, dev_ptr);
}

// Copies from the host to the device, at once. Returns 0, or -1.
inline int copy_to_device(OrchestrationRuntime *rt, void *dev_ptr, const void *host_ptr,
                          size_t size) {
    return rt->ops->copy_to_device(rt, dev_ptr, host_ptr, size);
}

#pragma GCC visibility pop
