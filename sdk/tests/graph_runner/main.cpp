// Builds the graph of one compiled orchestration of hbg, runs it with its kernels and compares the
// outputs: once for each task, with that task as late as its edges allow.
//
//     graph_runner GRAPH.so ENTRY TOLERANCE ITEM...
//     ITEM:  aic ID KERNEL.so | aiv ID KERNEL.so | in FILE.npy | ints COUNT START STEP SHAPE...
//            | out EXPECTED.npy | scalar BITS
//
// `ints` is an int32 tensor of COUNT dimensions, START + STEP * index. Prints "T tasks, E edges,
// B bytes copied, error X with task L late" and exits with 0 if every element of every output lies
// within TOLERANCE * (1 + |expected|) each time, with 3 and "returned N" if the entry returns N.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <memory>
#include <string>

#include "../serial_runner/npy_array.h"
#include "host_graph.h"

namespace {

using Entry = int (*)(OrchestrationRuntime *, const ChipStorageTaskArgs &);

// An output and what it should be.
struct Comparison {
    NpyArray actual;
    NpyArray expected;
};

template <typename Function>
Function function(const char *image, const char *name) {
    void *handle = dlopen(image, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    void *address = dlsym(handle, name);
    if (address == nullptr) throw std::runtime_error(std::string("no symbol ") + name);
    return reinterpret_cast<Function>(address);
}

struct Trial {
    std::map<std::pair<CoreType, int>, KernelEntry> kernels;
    std::unique_ptr<ChipStorageTaskArgs> args = std::make_unique<ChipStorageTaskArgs>();
    std::deque<NpyArray> inputs;
    std::deque<Comparison> outputs;
    int status = 0;  // what the entry returned last

    void add_tensor(NpyArray &array) {
        ContinuousTensor tensor = {};
        tensor.data = reinterpret_cast<uint64_t>(array.values.data());
        tensor.ndims = static_cast<uint32_t>(array.shape.size());
        std::copy(array.shape.begin(), array.shape.end(), tensor.shapes);
        tensor.dtype = array.is_int ? DataType::INT32 : DataType::FLOAT32;
        args->add_tensor(tensor);
    }

    // Returns how many words it had.
    int add_ints(char **words, int left) {
        const int dimensions = std::atoi(words[1]);
        if (left < 4 + dimensions) throw std::runtime_error("incomplete item ints");
        NpyArray array;
        array.is_int = true;
        size_t count = 1;
        for (int d = 0; d < dimensions; ++d) {
            array.shape.push_back(static_cast<uint32_t>(std::atoi(words[4 + d])));
            count *= array.shape.back();
        }
        array.values.resize(count);
        for (size_t i = 0; i < count; ++i) {
            const int32_t value = std::atoi(words[2]) + std::atoi(words[3]) * static_cast<int>(i);
            std::memcpy(&array.values[i], &value, sizeof value);
        }
        inputs.push_back(std::move(array));
        add_tensor(inputs.back());
        return 4 + dimensions;
    }

    // Takes one item from the command line; returns how many words it had.
    int add_item(char **words, int left) {
        const std::string kind = words[0];
        if (left < 2) throw std::runtime_error("incomplete item " + kind);
        if ((kind == "aic" || kind == "aiv") && left >= 3) {
            const CoreType core = kind == "aic" ? CoreType::AIC : CoreType::AIV;
            kernels[{core, std::atoi(words[1])}] = function<KernelEntry>(words[2], "kernel_entry");
            return 3;
        }
        if (kind == "ints" && left >= 4) return add_ints(words, left);
        if (kind == "in") {
            inputs.push_back(read_npy(words[1]));
            add_tensor(inputs.back());
        } else if (kind == "out") {
            outputs.push_back({read_npy(words[1]), read_npy(words[1])});
            add_tensor(outputs.back().actual);
        } else if (kind == "scalar") {
            args->add_scalar(std::strtoull(words[1], nullptr, 0));
        } else {
            throw std::runtime_error("unknown item " + kind);
        }
        return 2;
    }

    // Largest error relative to 1 + |expected|; infinite for NaN.
    double error() const {
        double worst = 0;
        for (const Comparison &output : outputs) {
            for (size_t i = 0; i < output.expected.values.size(); ++i) {
                const double want = output.expected.values[i];
                const double error =
                    std::fabs(output.actual.values[i] - want) / (1 + std::fabs(want));
                if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
            }
        }
        return worst;
    }

    // Builds and runs anew, from spoilt outputs.
    HostGraph run(Entry entry, size_t late) {
        for (Comparison &output : outputs) {
            for (float &value : output.actual.values) {
                value = std::numeric_limits<float>::quiet_NaN();
            }
        }
        HostGraph graph;
        graph.kernels = kernels;
        status = entry(&graph.prefix, *args);
        if (status == 0) graph.run(late);
        return graph;
    }
};

}  // namespace

int main(int argc, char **argv) try {
    if (argc < 4) throw std::runtime_error("see the head of main.cpp for the arguments");
    Trial trial;
    for (int at = 4; at < argc;) at += trial.add_item(argv + at, argc - at);
    const Entry entry = function<Entry>(argv[1], argv[2]);
    size_t tasks = 1;
    for (size_t late = 0; late < tasks; ++late) {
        const HostGraph graph = trial.run(entry, late);
        if (trial.status != 0) {
            std::printf("returned %d\n", trial.status);
            return 3;
        }
        tasks = graph.tasks.size();
        const double error = trial.error();
        const bool is_right = error <= std::strtod(argv[3], nullptr);
        if (late == 0 || !is_right) {
            size_t edges = 0;
            for (const HostGraph::Task &task : graph.tasks) edges += task.successors.size();
            std::printf("%zu tasks, %zu edges, %zu bytes copied, error %.3g with task %zu late\n",
                        tasks, edges, graph.copied, error, late);
        }
        if (!is_right) return 1;
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
