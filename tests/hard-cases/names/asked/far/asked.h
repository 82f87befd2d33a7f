#include "neighbour.h"
