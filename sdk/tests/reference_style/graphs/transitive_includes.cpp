// Names of the standard library and of the headers that come with the one header.
#include "orchestration_api.h"

static_assert(CHIP_MAX_TENSOR_ARGS == 64 && CHIP_MAX_SCALAR_ARGS == 128, "limits");
static_assert(CORE_MAX_TENSOR_ARGS == 16, "arguments of a task");
static_assert(std::is_same<std::underlying_type<CoreType>::type, int>::value, "passed as int");

extern "C" int build_nothing(OrchestrationRuntime *, const ChipStorageTaskArgs &orch_args) {
    std::vector<uint64_t> words(orch_args.scalars(), orch_args.scalars() + orch_args.scalar_count());
    std::sort(words.begin(), words.end());
    std::string text = get_dtype_name(orch_args.tensor_data()->dtype);
    text += arg_direction_name(ArgDirection::INOUT);
    char copy[64] = {};
    memcpy(copy, text.data(), std::min(text.size(), sizeof copy - 1));
    std::memset(copy, 0, sizeof copy);
    bool is_empty = words.empty();
    size_t bytes = std::max<size_t>(words.size(), 1);
    char *end = nullptr;
    const long number = strtol("12", &end, 10);
    printf("%zu words, %d, %ld\n", bytes, is_empty, number);
    if (text.size() > 1000) throw std::logic_error(text);
    return std::pair<int, int>(0, 1).first;
}
