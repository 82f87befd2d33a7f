// A tree of boxes, so that a ray is tested against few shapes.
#pragma once

#include "shape.hpp"

namespace rt {

// Takes all shapes and is one shape itself. There must be at least one.
ShapePtr make_tree(Shapes shapes);

}  // namespace rt
