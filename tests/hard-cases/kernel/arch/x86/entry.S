// folder: ../..
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -D__ASSEMBLY__ -D__KERNEL__
// The entry: assembler, through the same headers.
#include <linux/types.h>
#include <asm/div64.h>
#include "calling.h"
#if IS_ENABLED(CONFIG_64BIT)
    ENTRY(start64)
#else
    ENTRY(start32)
#endif
    ret
# a comment of the assembler's
    .incbin "generated/vdso.bin"
