// Runs the behavioural checks of the headers; see ../README.md. Exit code 0: all hold.
#include "check.h"

int checks_done = 0;
int checks_failed = 0;

int main() {
    check_wrappers();
    check_fatal_short_circuit();
    check_logging();
    check_argument_lists();
    check_argument_errors();
    check_tensors();
    check_views();
    check_create_infos();
    check_scalars();
    check_kernel_contexts();
    check_notifications();
    check_deferred_completion();
    std::printf("%d checks, %d failed\n", checks_done, checks_failed);
    return checks_failed == 0 ? 0 : 1;
}
