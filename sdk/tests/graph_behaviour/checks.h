// One function for each subject; main.cpp calls them.
#pragma once

#include "../behaviour/check.h"

void check_calls();
void check_tasks_with_tensor_info();
void check_tensor_infos();
void check_allocation_ranges();
void check_arguments();
