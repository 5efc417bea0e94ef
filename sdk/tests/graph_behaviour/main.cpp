// Behavioural checks of the header of hbg; see ../README.md. Exit code 0: all hold.
//
// A program of its own, because a source is for one runtime.
#include "checks.h"

int checks_done = 0;
int checks_failed = 0;

int main() {
    check_calls();
    check_tasks_with_tensor_info();
    check_tensor_infos();
    check_allocation_ranges();
    check_arguments();
    std::printf("%d checks, %d failed\n", checks_done, checks_failed);
    return checks_failed == 0 ? 0 : 1;
}
