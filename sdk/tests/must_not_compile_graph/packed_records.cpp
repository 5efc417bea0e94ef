// EXPECT: differs from the ABI
#pragma pack(push, 2)
#include "orchestration_api.h"
#pragma pack(pop)
