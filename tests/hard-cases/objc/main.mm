// only: clang
// std: c++11 c++17 gnu++20
// flags: -Iframe
// Objective-C++.
#include <vector>
#import "shape.h"
#ifdef __OBJC__
#import <counted.h>
#endif
#if __has_include(<Foundation/Foundation.h>)
#import <Foundation/Foundation.h>
#endif
const char *text = R"(
#import "none.h"
)";
