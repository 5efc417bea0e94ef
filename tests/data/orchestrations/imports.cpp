// What orchestrations use of the C and C++ run time, one entry for each family of functions. Each
// writes its results, one cell after the other.
// Arguments: out.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <queue>
#include <set>
#include <typeinfo>
#include <unordered_map>

#include "pto_orchestration_api.h"

namespace {
// Writes cells in order.
class Notes {
public:
    explicit Notes(const ChipStorageTaskArgs &args) : out_(from_tensor_arg(args.tensor(0))) {}
    void operator()(uint64_t value) {
        set_tensor_data<uint64_t>(out_, 1, &next_, value);
        ++next_;
    }

private:
    Tensor out_;
    uint32_t next_ = 0;
};

// Keeps the optimiser from knowing a value.
template <typename T>
T opaque(T value) {
    asm volatile("" : "+r"(value));
    return value;
}

int constructed = 0;
struct Counted {
    Counted() { ++constructed; }
    ~Counted() { --constructed; }
};
Counted before_the_entry;

Counted &once() {
    static Counted counted;  // guarded: made by the first caller
    return counted;
}

struct Shape {
    virtual ~Shape() = default;
    virtual uint64_t corners() const { return 0; }
};
struct Named {
    virtual ~Named() = default;
    virtual std::string name() const { return "named"; }
};
struct Square : virtual Shape, Named {
    uint64_t corners() const override { return 4; }
    std::string name() const override { return "square"; }
};
struct alignas(256) Wide {
    char bytes[256];
};

int compare_numbers(const void *left, const void *right) {
    return *static_cast<const int *>(left) - *static_cast<const int *>(right);
}

void throw_from_depth(uint64_t depth) {
    const std::string guard(40, 'g');  // destroyed while the exception passes
    Counted counted;
    if (depth == 0) throw std::out_of_range("tile " + guard.substr(0, 2));
    throw_from_depth(depth - 1);
}
}  // namespace

extern "C" {

void memory(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    auto *one = new uint64_t(opaque(7));
    auto *many = new uint64_t[opaque(100)];
    auto *wide = new Wide;
    auto *quiet = new (std::nothrow) uint64_t[opaque(10)];
    note(*one);
    note(reinterpret_cast<uintptr_t>(wide) % 256);
    note(quiet != nullptr ? 1 : 0);
    delete one;
    delete[] many;
    delete wide;
    delete[] quiet;
    auto *bytes = static_cast<char *>(calloc(opaque(3), 5));
    note(static_cast<uint64_t>(bytes[14]));
    bytes = static_cast<char *>(realloc(bytes, opaque(1000)));
    memset(bytes, 3, 1000);
    memmove(bytes + 1, bytes, opaque(500));
    note(static_cast<uint64_t>(bytes[500]));
    free(bytes);
    void *aligned = nullptr;
    note(posix_memalign(&aligned, 4096, opaque(100)) == 0 ? 1 : 0);
    note(reinterpret_cast<uintptr_t>(aligned) % 4096);
    free(aligned);
    bool refused = false;
    try {
        // More than any machine has; the size is not known when this is compiled.
        (void)opaque(new char[opaque(uint64_t{1} << 60)]);
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    note(refused ? 1 : 0);
}

void containers(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    std::vector<uint64_t> vector;
    for (uint64_t i = 0; i < opaque(uint64_t{1000}); ++i) vector.push_back(i * 7 % 1000);
    std::sort(vector.begin(), vector.end(), std::greater<>());
    note(vector.front());
    note(std::accumulate(vector.begin(), vector.end(), uint64_t{0}));
    std::map<std::string, uint64_t> map;
    std::unordered_map<std::string, uint64_t> hashed;
    for (uint64_t i : vector) {
        ++map[std::to_string(i % 10)];
        hashed[std::to_string(i % 13)] += i;
    }
    note(map.at("3"));
    note(hashed.size());
    std::set<uint64_t> set(vector.begin(), vector.end());
    note(*set.lower_bound(opaque(500)));
    std::deque<uint64_t> deque(vector.begin(), vector.end());
    deque.pop_front();
    note(deque.front());
    std::list<uint64_t> list(vector.begin(), vector.end());
    list.sort();
    note(list.front());
    std::priority_queue<uint64_t> queue(vector.begin(), vector.end());
    note(queue.top());
    std::stable_sort(vector.begin(), vector.end());
    note(*std::min_element(vector.begin(), vector.end()));
}

void text(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    char buffer[64];
    note(static_cast<uint64_t>(snprintf(buffer, sizeof buffer, "%d %s %.3f %#llx", opaque(-5),
                                        "tile", 1.5, 255ull)));
    note(strcmp(buffer, "-5 tile 1.500 0xff") == 0 ? 1 : 0);
    int left = 0;
    float right = 0;
    note(static_cast<uint64_t>(sscanf(buffer, "%d tile %f", &left, &right)));
    note(static_cast<uint64_t>(left + 100));
    note(strtoull("18446744073709551615", nullptr, 10));
    note(std::stoul(std::string("42") + opaque('7')));
    std::ostringstream stream;
    stream << "n=" << opaque(12) << ' ' << 2.5 << ' ' << std::hex << 255;
    note(stream.str() == "n=12 2.5 ff" ? 1 : 0);
    std::string long_text(opaque(1000), 'x');
    long_text.insert(500, "needle").append("end");
    note(long_text.find("needle"));
    note(strlen(long_text.c_str()));
    note(memcmp(buffer, "-5", 2) == 0 && strstr(buffer, "1.5") != nullptr ? 1 : 0);
}

void exceptions(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    const int before = constructed;
    try {
        throw_from_depth(opaque(5));
    } catch (const std::logic_error &error) {
        note(strcmp(error.what(), "tile gg") == 0 ? 1 : 0);
    }
    note(static_cast<uint64_t>(constructed - before));  // all were destroyed
    try {
        note(std::vector<uint64_t>(3).at(opaque(3)));
    } catch (const std::out_of_range &) {
        note(1);
    }
    std::exception_ptr kept;
    try {
        try {
            throw 42;
        } catch (...) {
            kept = std::current_exception();
            throw;
        }
    } catch (int number) {
        note(static_cast<uint64_t>(number));
    }
    try {
        std::rethrow_exception(kept);
    } catch (int number) {
        note(static_cast<uint64_t>(number) + 1);
    }
    try {
        std::function<void()> empty;
        empty();
    } catch (const std::bad_function_call &) {
        note(1);
    }
    try {
        (void)std::stoi(std::string(1, opaque('x')));
    } catch (const std::invalid_argument &) {
        note(1);
    }
    try {
        always_assert(constructed < 0);
    } catch (const AssertionError &) {
        note(1);
    }
}

void types(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    std::unique_ptr<Shape> shape = std::make_unique<Square>();
    Shape *seen = opaque(shape.get());
    note(seen->corners());
    note(dynamic_cast<Named *>(seen)->name() == "square" ? 1 : 0);
    note(dynamic_cast<Square *>(seen) != nullptr ? 1 : 0);
    note(typeid(*seen) == typeid(Square) ? 1 : 0);
    note(strstr(typeid(*seen).name(), "Square") != nullptr ? 1 : 0);
    Shape plain;
    Shape *other = opaque(&plain);
    note(dynamic_cast<Named *>(other) == nullptr ? 1 : 0);
    bool refused = false;
    try {
        (void)dynamic_cast<Square &>(*other).corners();
    } catch (const std::bad_cast &) {
        refused = true;
    }
    note(refused ? 1 : 0);
}

void ownership(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    auto shared = std::make_shared<std::vector<uint64_t>>(opaque(5), 3);
    std::weak_ptr<std::vector<uint64_t>> weak = shared;
    std::function<uint64_t(uint64_t)> twice = [shared](uint64_t x) { return 2 * x + shared->size(); };
    note(twice(opaque(20)));
    note(static_cast<uint64_t>(shared.use_count()));
    auto bound = std::bind(twice, std::placeholders::_1);
    shared.reset();
    note(bound(1));
    twice = nullptr;
    note(weak.expired() ? 1 : 0);  // `bound` has a copy of the lambda
    std::unique_ptr<uint64_t[]> array(new uint64_t[opaque(4)]{1, 2, 3, 4});
    note(array[3]);
}

void statics(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    (void)before_the_entry;
    (void)once();
    (void)once();
    note(static_cast<uint64_t>(constructed));  // one before the entry, one at its first call
    static std::vector<std::string> names{"a", "b", std::string(opaque(50), 'c')};
    note(names.back().size());
    static std::mutex lock;
    std::lock_guard<std::mutex> held(lock);
    static std::atomic<uint64_t> runs{0};
    note(runs.fetch_add(1) < 1000 ? 1 : 0);
}

void numbers(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    note(static_cast<uint64_t>(std::sqrt(opaque(144.0))));
    note(static_cast<uint64_t>(std::pow(opaque(2.0), 40.0)));
    note(static_cast<uint64_t>(std::lround(opaque(2.5))));
    note(static_cast<uint64_t>(std::ceil(std::log2(opaque(1000.0)))));
    note(static_cast<uint64_t>(std::fmod(opaque(17.0), 5.0)));
    note(static_cast<uint64_t>(1000 * std::exp(opaque(1.0))));
    note(static_cast<uint64_t>(1000 * std::tanh(opaque(1.0f))));
    int list[] = {5, 3, 9, 1};
    qsort(list, 4, sizeof(int), compare_numbers);
    const int key = 9;
    const void *found = bsearch(&key, list, 4, sizeof(int), compare_numbers);
    note(static_cast<uint64_t>(static_cast<const int *>(found) - list));
    note(static_cast<uint64_t>(std::abs(opaque(-3)) + std::min(2, 1)));
}

void clocks(const ChipStorageTaskArgs &orch_args) {
    Notes note(orch_args);
    timespec now{};
    note(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec > 0 ? 1 : 0);
    const auto start = std::chrono::steady_clock::now();
    note(std::chrono::steady_clock::now() >= start ? 1 : 0);
    note(std::chrono::system_clock::now().time_since_epoch().count() > 0 ? 1 : 0);
    note(getenv("NO_ORCHESTRATION_HAS_THIS") == nullptr ? 1 : 0);
    note(time(nullptr) > 0 ? 1 : 0);
}

}  // extern "C"
