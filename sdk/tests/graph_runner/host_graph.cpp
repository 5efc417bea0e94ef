// See host_graph.h.
#include "host_graph.h"

#include <cstring>
#include <set>
#include <stdexcept>

namespace {

int add_task_op(OrchestrationRuntime *rt, uint64_t *args, int count, int func_id, CoreType core) {
    HostGraph &graph = HostGraph::of(rt);
    if (count < 0 || count > 16 || (count > 0 && args == nullptr)) {
        graph.fail("add_task: " + std::to_string(count) + " arguments");
        return -1;
    }
    if (graph.kernels.count({core, func_id}) == 0) {
        graph.fail("add_task: no kernel " + std::to_string(func_id));
        return -1;
    }
    graph.tasks.push_back({func_id, core, std::vector<uint64_t>(args, args + count), {}, {}});
    return static_cast<int>(graph.tasks.size()) - 1;
}

bool is_task(const HostGraph &graph, int id) {
    return id >= 0 && static_cast<size_t>(id) < graph.tasks.size();
}

int set_infos(OrchestrationRuntime *rt, int task, const TensorInfo *infos, int count) {
    HostGraph &graph = HostGraph::of(rt);
    if (!is_task(graph, task) || count < 0 || count > 16) return -1;
    if (count > 0 && infos == nullptr) return -1;
    if (count > 0) graph.tasks[static_cast<size_t>(task)].tensors.assign(infos, infos + count);
    return 0;
}

void add_edge(OrchestrationRuntime *rt, int from, int to) {
    HostGraph &graph = HostGraph::of(rt);
    if (!is_task(graph, from) || !is_task(graph, to)) {
        return graph.fail("add_successor: " + std::to_string(from) + " to " + std::to_string(to));
    }
    graph.tasks[static_cast<size_t>(from)].successors.push_back(to);
    graph.tasks[static_cast<size_t>(to)].predecessors += 1;
}

void record_pair(OrchestrationRuntime *rt, void *host, void *device, size_t bytes) {
    HostGraph &graph = HostGraph::of(rt);
    if (host == nullptr || !graph.holds(device, bytes)) {
        return graph.fail("record_tensor_pair: not memory of this run");
    }
    graph.outputs.push_back({host, device, bytes});
}

int count_tasks(OrchestrationRuntime *rt) {
    return static_cast<int>(HostGraph::of(rt).tasks.size());
}

void print(OrchestrationRuntime *) {}

void *allocate(OrchestrationRuntime *rt, size_t bytes) {
    HostGraph &graph = HostGraph::of(rt);
    if (bytes > graph.budget) return nullptr;
    graph.budget -= bytes;
    graph.owned.emplace_back(new char[bytes + 1]);
    std::memset(graph.owned.back().get(), 0xff, bytes + 1);
    graph.memory[graph.owned.back().get()] = bytes;
    return graph.owned.back().get();
}

void release(OrchestrationRuntime *rt, void *address) {
    HostGraph &graph = HostGraph::of(rt);
    if (graph.memory.erase(address) == 0) graph.fail("device_free: not memory of this run");
}

int copy(OrchestrationRuntime *rt, void *device, const void *host, size_t bytes) {
    HostGraph &graph = HostGraph::of(rt);
    if (host == nullptr || !graph.holds(device, bytes)) {
        graph.fail("copy_to_device: not memory of this run");
        return -1;
    }
    std::memcpy(device, host, bytes);
    graph.copied += bytes;
    return 0;
}

const OrchestrationRuntimeOps table = {
    add_task_op, set_infos, add_edge, record_pair, count_tasks, print, allocate, release, copy,
};

}  // namespace

HostGraph::HostGraph() : prefix{&table} {}

void HostGraph::fail(const std::string &text) {
    if (problem.empty()) problem = text;
}

bool HostGraph::holds(const void *address, size_t bytes) const {
    auto after = memory.upper_bound(address);
    if (after == memory.begin()) return false;
    const auto &[base, size] = *std::prev(after);
    const size_t offset =
        static_cast<size_t>(static_cast<const char *>(address) - static_cast<const char *>(base));
    return offset <= size && bytes <= size - offset;
}

void HostGraph::run(size_t late) {
    if (!problem.empty()) throw std::runtime_error(problem);
    std::set<size_t> ready;
    std::vector<int> waits_for(tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
        waits_for[i] = tasks[i].predecessors;
        if (waits_for[i] == 0) ready.insert(i);
    }
    size_t done = 0;
    while (!ready.empty()) {
        auto next = ready.begin();
        if (*next == late && ready.size() > 1) ++next;
        Task &task = tasks[*next];
        ready.erase(next);
        // What a kernel finds behind its arguments is nothing to rely on.
        uint64_t words[16];
        std::memset(words, 0xee, sizeof words);
        std::copy(task.args.begin(), task.args.end(), words);
        kernels.at({task.core_type, task.func_id})(reinterpret_cast<int64_t *>(words));
        ++done;
        for (int successor : task.successors) {
            const auto index = static_cast<size_t>(successor);
            if (--waits_for[index] == 0) ready.insert(index);
        }
    }
    if (done != tasks.size()) throw std::runtime_error("tasks wait for each other");
    for (const Output &output : outputs) std::memcpy(output.host, output.device, output.bytes);
}
