// Made by compiling a C file and reading its assembler.
#ifndef GENERATED_BOUNDS_H
#define GENERATED_BOUNDS_H
#define NR_PAGEFLAGS 23
#define MAX_NR_ZONES 4
#endif
