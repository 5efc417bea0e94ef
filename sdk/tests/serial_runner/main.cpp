// Runs one compiled orchestration with its kernels and compares the outputs.
//
//     serial_runner ORCHESTRATION.so TOLERANCE ITEM...
//     ITEM:  aic ID KERNEL.so | aiv ID KERNEL.so | in FILE.npy | out EXPECTED.npy
//            | inout CONSTANT EXPECTED.npy | scalar BITS
//
// Prints "T tasks, K kernel calls, error E" and exits with 0 if every element of every output lies
// within TOLERANCE * (1 + |expected|).
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <memory>
#include <string>

#include "npy_array.h"
#include "serial_executor.h"

namespace {

// An output and what it should be.
struct Comparison {
    NpyArray actual;
    NpyArray expected;
};

void *symbol(void *image, const char *name) {
    void *address = dlsym(image, name);
    if (address == nullptr) throw std::runtime_error(std::string("no symbol ") + name);
    return address;
}

void *load(const char *path) {
    void *image = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (image == nullptr) throw std::runtime_error(dlerror());
    return image;
}

ContinuousTensor describe(NpyArray &array) {
    ContinuousTensor tensor = {};
    tensor.data = reinterpret_cast<uint64_t>(array.values.data());
    tensor.ndims = static_cast<uint32_t>(array.shape.size());
    std::copy(array.shape.begin(), array.shape.end(), tensor.shapes);
    tensor.dtype = DataType::FLOAT32;
    return tensor;
}

struct Trial {
    SerialExecutor executor;
    std::unique_ptr<ChipStorageTaskArgs> args = std::make_unique<ChipStorageTaskArgs>();
    std::deque<NpyArray> inputs;
    std::deque<Comparison> outputs;

    void add_output(const char *expected, float start) {
        outputs.push_back({read_npy(expected), read_npy(expected)});
        NpyArray &actual = outputs.back().actual;
        std::fill(actual.values.begin(), actual.values.end(), start);
        args->add_tensor(describe(actual));
    }

    // Takes one item from the command line; returns how many words it had.
    int add_item(char **words, int left) {
        const std::string kind = words[0];
        if ((kind == "aic" || kind == "aiv") && left >= 3) {
            auto entry = reinterpret_cast<KernelEntry>(symbol(load(words[2]), "kernel_entry"));
            auto &kernels = kind == "aic" ? executor.aic_kernels : executor.aiv_kernels;
            kernels[std::atoi(words[1])] = entry;
            return 3;
        }
        if (kind == "inout" && left >= 3) {
            add_output(words[2], std::strtof(words[1], nullptr));
            return 3;
        }
        if (left < 2) throw std::runtime_error("incomplete item " + kind);
        if (kind == "in") {
            inputs.push_back(read_npy(words[1]));
            args->add_tensor(describe(inputs.back()));
        } else if (kind == "out") {
            add_output(words[1], std::numeric_limits<float>::quiet_NaN());
        } else if (kind == "scalar") {
            args->add_scalar(std::strtoull(words[1], nullptr, 0));
        } else {
            throw std::runtime_error("unknown item " + kind);
        }
        return 2;
    }

    void run(void *image) {
        using Entry = void (*)(const ChipStorageTaskArgs &);
        using Config = PTO2OrchestrationConfig (*)(const ChipStorageTaskArgs &);
        using Bind = void (*)(PTO2Runtime *);
        auto config = reinterpret_cast<Config>(symbol(image, "aicpu_orchestration_config"));
        const int expected = config(*args).expected_arg_count;
        if (expected != args->tensor_count() + args->scalar_count()) {
            throw std::runtime_error("the orchestration expects " + std::to_string(expected));
        }
        auto bind = reinterpret_cast<Bind>(symbol(image, "framework_bind_runtime"));
        bind(&executor.prefix);
        reinterpret_cast<Entry>(symbol(image, "aicpu_orchestration_entry"))(*args);
        bind(nullptr);
        if (executor.open_scopes != 0) throw std::runtime_error("a scope was left open");
    }

    // Largest error relative to 1 + |expected|; infinite for NaN.
    double error() const {
        double worst = 0;
        for (const Comparison &output : outputs) {
            for (size_t i = 0; i < output.expected.values.size(); ++i) {
                const double want = output.expected.values[i];
                const double difference = std::fabs(output.actual.values[i] - want);
                const double error = difference / (1 + std::fabs(want));
                if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
            }
        }
        return worst;
    }
};

}  // namespace

int main(int argc, char **argv) try {
    if (argc < 3) throw std::runtime_error("see the head of main.cpp for the arguments");
    Trial trial;
    for (int at = 3; at < argc;) at += trial.add_item(argv + at, argc - at);
    trial.run(load(argv[1]));
    const double error = trial.error();
    std::printf("%d tasks, %d kernel calls, error %.3g\n", trial.executor.tasks,
                trial.executor.kernel_calls, error);
    return trial.executor.fatal_code == 0 && error <= std::strtod(argv[2], nullptr) ? 0 : 1;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
