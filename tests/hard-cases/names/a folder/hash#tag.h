#include "a header.h"
