// folder: ../../..
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -D__ASSEMBLY__ -P -Ux86
// A linker script: preprocessed as assembler.
#define LAYOUT 64
#include "layout.lds.h"
