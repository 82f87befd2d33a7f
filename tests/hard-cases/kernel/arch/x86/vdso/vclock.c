// The 64 bit half of what user programs call; the 32 bit half includes this file.
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/div64.h>
