// Calls the Rust entries as C++ code does, with one argument mix per case, and gives the text
// that the C library makes of the same arguments.
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>

extern "C" struct Entries {
    void (*log)(const char *func, const char *fmt, ...);
    void (*info)(const char *func, int v, const char *fmt, ...);
    void (*fatal)(void *rt, int32_t code, const char *func, const char *fmt, ...);
};

namespace {

struct Call {
    const Entries *entries;
    int kind;
    char *expected;
    size_t size;

    template <class... A>
    bool operator()(const char *fmt, A... args) const {
        snprintf(expected, size, fmt, args...);
        switch (kind) {
        case 0: entries->log("log", fmt, args...); return true;
        case 1: entries->info("info", 7, fmt, args...); return true;
        case 2:
            entries->fatal(const_cast<Entries *>(entries), -9, "fatal", fmt, args...);
            return true;
        default: return false;
        }
    }
};

enum Small : uint8_t { SMALL = 200 };

bool plain(int index, const Call &call) {
    const char *null = nullptr;
    static const char unterminated[4] = {'a', 'b', 'c', 'd'};
    switch (index) {
    case 0: return call("no arguments at all");
    case 1: return call("");
    case 2: return call("100%%");
    case 3: return call("%d", 42);
    case 4: return call("%d %d %d %d %d %d %d %d %d %d", 1, -2, 3, -4, 5, -6, 7, -8, 9, -10);
    case 5: return call("%s|%s|%s", "one", "", "three");
    case 6: return call("%s %.3s %10s|", null, null, null);
    case 7: return call("%.4s %.*s", unterminated, 2, unterminated);
    case 8: return call("%*d|%-*d|%.*d|%*.*d", 6, 1, -6, 2, 4, 3, 8, 5, -4);
    case 9: return call("%c%c%c", 'x', (char)'y', (signed char)'z');
    case 10:
        return call("%hhd %hhu %hd %hu", (signed char)-1, (unsigned char)255, (short)-2,
                    (unsigned short)65535);
    case 11: return call("%d %d", (short)-300, (char)65);
    case 12: return call("%u %d", SMALL, true);
    case 13:
        return call("%ld %lu", std::numeric_limits<long>::min(),
                    std::numeric_limits<unsigned long>::max());
    case 14: return call("%lld %llu", std::numeric_limits<long long>::max(), ~0ull);
    case 15: return call("%zu %zd %td", sizeof(Entries), (ptrdiff_t)-5, (ptrdiff_t)6);
    case 16:
        return call("%" PRIu64 " %" PRId64 " 0x%" PRIx64,
                    UINT64_MAX, INT64_MIN, UINT64_C(0xdeadbeefcafe));
    case 17: return call("%jd %ju", (intmax_t)-1, (uintmax_t)1);
    case 18: return call("%p %p", (void *)call.expected, (void *)nullptr);
    case 19: return call("%x %X %#x %o %#o %08x", 255u, 255u, 255u, 8u, 8u, 0xabcu);
    case 20: return call("%+d % d %05d %-5d| %.0d", 1, 2, -3, 4, 0);
    default: return false;
    }
}

bool floating(int index, const Call &call) {
    const double inf = std::numeric_limits<double>::infinity();
    switch (index) {
    case 0: return call("%f", 1.5);
    case 1:
        return call("%.1f %.2f %.3f %g %e %f %g %f %.0f %f", 1.25, -2.5, 3.0625, 4e9, 5e-7, 6.0,
                    7e-5, 8.75, 9.5, 1e22);
    case 2:
        return call("%f %f %f %f %f %f %f %f %f %f %f %f", 1., 2., 3., 4., 5., 6., 7., 8., 9.,
                    10., 11., 12.);
    case 3:
        return call("%d %f %d %f %d %f %d %f %d %f %d %f %d %f %d %f %d %f %d %f", 1, 1.5, 2,
                    2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5, 10, 10.5);
    case 4:
        return call("%s took %.3f ms, %zu bytes at %p (%s), %lld",
                    "copy", 0.125f, (size_t)4096, (void *)0x1000, "ok", -1ll);
    case 5: return call("%f %f %F %e %g", inf, -inf, inf, inf, -inf);
    case 6:
        return call("%f %F", std::numeric_limits<double>::quiet_NaN(),
                    -std::numeric_limits<double>::quiet_NaN());
    case 7: return call("%a %A %.3a", 0.1, -1e300, 3.999);
    case 8: return call("%f", std::numeric_limits<double>::max());
    case 9: return call("%.1100f", std::numeric_limits<double>::denorm_min());
    case 10: return call("%Lf %Lg", 2.5L, -1e10L);
    case 11: return call("%d %Lf %d %f %Lf %d", 1, 0.5L, 2, 1.5, 0.25L, 3);
    case 12: return call("%d %d %d %d %d %Lf %d %Lf", 1, 2, 3, 4, 5, 6.5L, 7, 8.5L);
    case 13:
        return call("%f %f %f %f %f %f %f %f %d %Lf %f", 1., 2., 3., 4., 5., 6., 7., 8., 9,
                    10.5L, 11.);
    case 14:
        return call("%Lf %Lf %Lf", 1e-4000L, -std::numeric_limits<long double>::infinity(),
                    std::numeric_limits<long double>::quiet_NaN());
    default: return false;
    }
}

bool longer(int index, const Call &call) {
    char text[2000];
    for (size_t i = 0; i < sizeof text; ++i) text[i] = (char)('a' + i % 26);
    text[sizeof text - 1] = 0;
    switch (index) {
    case 0: text[1023] = 0; return call("%s", text);
    case 1: text[1024] = 0; return call("%s", text);
    case 2: return call("%s", text);
    case 3: return call("%d %s %d", 1, text, 2);
    case 4: return call("%1500s|", "right");
    case 5: return call("%-1500s|", "left");
    case 6: return call("%2100s|", text);
    case 7: return call("%.1200d", 5);
    case 8: return call("%1300.1200f", 0.1);
    default: return false;
    }
}

} // namespace

// Runs case `index` of `group` through entry `kind`; false if there is no such case.
extern "C" bool run_case(int group, int index, int kind, const Entries *entries, char *expected,
                         size_t size) {
    Call call{entries, kind, expected, size};
    switch (group) {
    case 0: return plain(index, call);
    case 1: return floating(index, call);
    case 2: return longer(index, call);
    default: return false;
    }
}
