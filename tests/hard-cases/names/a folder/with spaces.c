// std: c99 gnu17
// flags: "-Iinclude this" '-DNAME="quoted $ name.h"' -isystem dollars\$
// Names with blanks and signs that make rules must protect.
#include "a header.h"
#include <this one.h>
#include NAME
#include "../a folder/hash#tag.h"
#define TEXT(x) #x
#include TEXT(a    header.h)
#include <x.h>
