// only: gcc
// std: c99 gnu17
// One file by two names in two folders: gcc looks beside the name used, clang beside the first name met.
#define ONLY_BESIDE
#include "linked/used.h"
#include "used_link.h"
