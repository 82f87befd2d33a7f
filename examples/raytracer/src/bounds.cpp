#include "bounds.hpp"

#include <algorithm>
#include <utility>

namespace rt {

namespace {

Point lower(const Point& a, const Point& b) {
    return {std::min(a.x, b.x), std::min(a.y, b.y), std::min(a.z, b.z)};
}

Point upper(const Point& a, const Point& b) {
    return {std::max(a.x, b.x), std::max(a.y, b.y), std::max(a.z, b.z)};
}

}  // namespace

Bounds::Bounds(const Point& a, const Point& b) : low_(lower(a, b)), high_(upper(a, b)) {}

void Bounds::include(const Bounds& other) {
    low_ = lower(low_, other.low_);
    high_ = upper(high_, other.high_);
}

Point Bounds::centre() const { return (low_ + high_) * 0.5; }

int Bounds::longest_axis() const {
    const Vec3 size = high_ - low_;
    if (size.x >= size.y && size.x >= size.z) return 0;
    return size.y >= size.z ? 1 : 2;
}

bool Bounds::is_hit(const Ray& ray, Interval range) const {
    for (int axis = 0; axis < 3; ++axis) {
        const double inverse = 1 / ray.direction[axis];
        double enter = (low_[axis] - ray.origin[axis]) * inverse;
        double leave = (high_[axis] - ray.origin[axis]) * inverse;
        if (inverse < 0) std::swap(enter, leave);
        range.min = std::max(range.min, enter);
        range.max = std::min(range.max, leave);
        if (range.max < range.min) return false;
    }
    return true;
}

}  // namespace rt
