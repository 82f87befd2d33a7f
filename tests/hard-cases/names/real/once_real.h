#pragma once
// Once: for gcc a link is the same file, for clang too.
#define SEEN_ONCE
