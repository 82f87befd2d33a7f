// only: clang
// std: gnu99 gnu11
// flags: -Iframe
// flags: -Iframe -fobjc-runtime=macosx-10.14 -fobjc-arc -DARC_WANTED
// Objective-C: import skips what was read in any way.
#import "shape.h"
#import <shape.h>
#include "shape.h"
#import "frame/shape.h"
#if __has_feature(objc_arc) && defined ARC_WANTED
#import "counted.h"
#endif
@interface Main
@end
