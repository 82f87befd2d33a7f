#pragma once
// Once, whatever name it is reached by.
#define TIMES_ONCE TIMES + 1
#include "counting.h"
