// Axis-aligned boxes around shapes.
#pragma once

#include "ray.hpp"

namespace rt {

class Bounds {
public:
    // Contains nothing.
    Bounds() = default;
    Bounds(const Point& a, const Point& b);

    void include(const Bounds& other);
    Point centre() const;
    int longest_axis() const;
    bool is_hit(const Ray& ray, Interval range) const;

private:
    Point low_{1e300, 1e300, 1e300};
    Point high_{-1e300, -1e300, -1e300};
};

}  // namespace rt
