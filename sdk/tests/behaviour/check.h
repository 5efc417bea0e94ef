// The checks of this program: count, print what differs, go on.
#pragma once

#include <cstdio>

// Totals over all files; main.cpp owns them.
extern int checks_done;
extern int checks_failed;

inline void check(bool holds, const char *condition, const char *file, int line) {
    ++checks_done;
    if (holds) return;
    ++checks_failed;
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
}

#define CHECK(...) check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

// One function for each subject; main.cpp calls them.
void check_wrappers();
void check_fatal_short_circuit();
void check_logging();
void check_argument_lists();
void check_argument_errors();
void check_tensors();
void check_views();
void check_create_infos();
void check_scalars();
void check_kernel_contexts();
void check_notifications();
void check_deferred_completion();
