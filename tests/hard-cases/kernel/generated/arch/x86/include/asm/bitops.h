// Made by a script: this processor has no header of its own, so the generic one serves.
#include <asm-generic/bitops.h>
