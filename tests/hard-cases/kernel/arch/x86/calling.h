#define ENTRY(name) .globl name; name:
