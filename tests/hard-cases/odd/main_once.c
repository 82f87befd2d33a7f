// std: c11
// clang does not honour the pragma in the main file.
#pragma once
#ifndef SECOND
#define SECOND
#include "main_once.c"
#else
#include "yes.h"
#endif
