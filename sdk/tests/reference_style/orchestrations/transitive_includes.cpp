// Uses only what the one header brings with it.
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    std::vector<uint32_t> sizes;
    for (int32_t i = 0; i < orch_args.tensor_count(); i++) {
        sizes.push_back(orch_args.tensor(i).shapes[0]);
    }
    std::sort(sizes.begin(), sizes.end());
    uint32_t least = sizes.empty() ? 0 : *std::min_element(sizes.begin(), sizes.end());
    uint32_t copied = 0;
    memcpy(&copied, &least, sizeof copied);
    std::ostringstream text;
    text << "least " << std::max(copied, least);
    std::string line = text.str();
    std::pair<std::string, size_t> pair = std::make_pair(std::move(line), offsetof(Tensor, shapes));
    std::atomic<int> turns{0};
    turns.fetch_add(1);
    bool ok = std::is_trivially_copyable<Tensor>::value;
    try {
        if (!ok) throw std::runtime_error("unreachable");
        TaskOutputTensors none;
        (void)none.get_ref(0);
    } catch (const AssertionError &error) {
        LOG_ERROR("%s", error.what());
    } catch (const std::runtime_error &error) {
        LOG_ERROR("%s", error.what());
    }
    LOG_INFO_V9("%s, offset %zu, turns %d", pair.first.c_str(), pair.second, turns.load());
}
