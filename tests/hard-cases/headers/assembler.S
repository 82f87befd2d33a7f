// flags: -DENTRY=start
// flags: -DENTRY=start -DWIDE -x assembler-with-cpp
# Assembler: lines that begin with a hash are comments unless they are directives; don't mind quotes.
#include "parts/value1.h"
#ifdef WIDE
#include "parts/value2.h"
#endif
#define GLOBAL(name) .globl name ; name:
# while this were C, it would fail
GLOBAL(ENTRY)
    ret
    .ascii "/* no comment"
#if defined(__ASSEMBLER__) && !defined(__STDC_VERSION__)
#include "parts/value3.h"
#endif
