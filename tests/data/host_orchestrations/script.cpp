// Makes the calls that a test has written down, in their order, whatever they are.
//
// Arguments: the calls: uint64; then tensors that they may name; address for the answers, or 0. A call
// is its number and its operands; an address among them is three words: what it is relative to, which
// one, and an offset. `tests/src/script.rs` writes them.
#include "orchestration_api.h"

namespace {

// What an address is relative to: nothing, memory that an earlier call got, a tensor of the caller.
enum class Base : uint64_t { NONE = 0, MEMORY = 1, TENSOR = 2 };

enum class Call : uint64_t {
    END = 0,
    MALLOC = 1,
    FREE = 2,
    COPY = 3,
    RECORD = 4,
    ADD_TASK = 5,
    ADD_SUCCESSOR = 6,
    SET_TENSOR_INFO = 7,
    COUNT = 8,
    PRINT = 9,
    THROW = 10,
};

struct Odd {};

class Player {
  public:
    Player(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args)
        : rt_(rt),
          args_(args),
          next_(args.tensor(0).data_as<uint64_t>()),
          answers_(reinterpret_cast<uint64_t *>(args.scalar(0))) {}

    // Makes all calls; what the entry is to return.
    int play() {
        for (;;) {
            switch (static_cast<Call>(word())) {
                case Call::END: return static_cast<int>(word());
                case Call::MALLOC: answer(reinterpret_cast<uint64_t>(get_memory())); break;
                case Call::FREE: device_free(rt_, pointer()), answer(0); break;
                case Call::COPY: answer(to_answer(copy())); break;
                case Call::RECORD: record(), answer(0); break;
                case Call::ADD_TASK: answer(to_answer(task())); break;
                case Call::ADD_SUCCESSOR: edge(), answer(0); break;
                case Call::SET_TENSOR_INFO: answer(to_answer(describe())); break;
                case Call::COUNT: answer(to_answer(get_task_count(rt_))); break;
                case Call::PRINT: print_runtime(rt_), answer(0); break;
                case Call::THROW: raise(); break;
                default: return -99;
            }
        }
    }

  private:
    uint64_t word() { return *next_++; }

    int number() { return static_cast<int>(word()); }

    uint64_t address() {
        const Base base = static_cast<Base>(word());
        const uint64_t which = word(), offset = word();
        if (base == Base::MEMORY) return memory_[which % 16] + offset;
        if (base == Base::TENSOR) return args_.tensor(static_cast<int32_t>(which)).data + offset;
        return offset;
    }

    void *pointer() { return reinterpret_cast<void *>(address()); }

    static uint64_t to_answer(int value) { return static_cast<uint64_t>(int64_t{value}); }

    void answer(uint64_t value) {
        if (answers_ != nullptr) *answers_++ = value;
    }

    void *get_memory() {
        const uint64_t which = word(), bytes = word();
        void *memory = device_malloc(rt_, bytes);
        memory_[which % 16] = reinterpret_cast<uint64_t>(memory);
        return memory;
    }

    int copy() {
        void *to = pointer();
        const void *from = pointer();
        return copy_to_device(rt_, to, from, word());
    }

    void record() {
        void *host = pointer();
        void *device = pointer();
        record_tensor_pair(rt_, host, device, word());
    }

    // The words that follow are there, whatever number of them the call is told.
    int task() {
        const int func_id = number(), core = number(), told = number(), given = number();
        std::vector<uint64_t> words;
        for (int i = 0; i < given; ++i) words.push_back(address());
        words.reserve(64);
        return add_task(rt_, given == 0 ? nullptr : words.data(), told, func_id,
                        static_cast<CoreType>(core));
    }

    void edge() {
        const int from = number(), to = number();
        add_successor(rt_, from, to);
    }

    int describe() {
        const int task = number(), count = number();
        const TensorInfo infos[17] = {};
        return set_tensor_info_to_task(rt_, task, word() != 0 ? nullptr : infos, count);
    }

    void raise() {
        switch (word()) {
            case 0: throw std::runtime_error("no such block: 17");
            case 1: throw 42;
            default: throw Odd{};
        }
    }

    OrchestrationRuntime *rt_;
    const ChipStorageTaskArgs &args_;
    const uint64_t *next_;
    uint64_t *answers_;
    uint64_t memory_[16] = {};
};
}  // namespace

extern "C" int play(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    return Player(rt, args).play();
}
