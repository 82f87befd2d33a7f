#include "texture.hpp"

#include <algorithm>
#include <cmath>

namespace rt {

namespace {

struct ColourAt {
    const Point& where;

    Colour operator()(const Plain& t) const { return t.colour; }

    Colour operator()(const Checker& t) const {
        const double cell = std::floor(where.x / t.size) + std::floor(where.y / t.size) +
                            std::floor(where.z / t.size);
        return std::fmod(std::fabs(cell), 2) < 1 ? t.even : t.odd;
    }

    Colour operator()(const Gradient& t) const {
        const double share = std::clamp((where.y - t.from) / (t.to - t.from), 0.0, 1.0);
        return t.bottom * (1 - share) + t.top * share;
    }
};

}  // namespace

Colour colour_at(const Texture& texture, const Point& where) {
    return std::visit(ColourAt{where}, texture);
}

}  // namespace rt
