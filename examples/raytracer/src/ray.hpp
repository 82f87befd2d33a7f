// Rays, and the stretch of a ray that still matters.
#pragma once

#include "vec.hpp"

#include <limits>

namespace rt {

struct Ray {
    Point origin;
    Vec3 direction;

    constexpr Point at(double t) const { return origin + direction * t; }
};

// Hits nearer than `min` are the surface a ray starts from; hits beyond `max` are hidden.
struct Interval {
    double min = 1e-4;
    double max = std::numeric_limits<double>::infinity();

    constexpr bool contains(double t) const { return min < t && t < max; }
};

}  // namespace rt
