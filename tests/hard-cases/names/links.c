// std: c99 gnu17
// flags: -Ichain -I.
// flags: -isystem linked -Ireal/inner
// flags: -Ireal/again/../inner -iquote real
// Links to folders, to links, to files: what lies beside is told by the name used.
#include "linked/used.h"
#include "real/../chain/used.h"
#include "linked/../beside.h"
#include <used.h>
#include "real/once_link.h"
#include "real/once_real.h"
#ifdef SEEN_ONCE
#include "real/again/beside.h"
#endif
