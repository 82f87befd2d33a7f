// What colour a surface has at a point.
#pragma once

#include "vec.hpp"

#include <variant>

namespace rt {

struct Plain {
    Colour colour;
};

struct Checker {
    Colour even;
    Colour odd;
    double size;
};

struct Gradient {
    Colour bottom;
    Colour top;
    double from;
    double to;
};

using Texture = std::variant<Plain, Checker, Gradient>;

Colour colour_at(const Texture& texture, const Point& where);

}  // namespace rt
