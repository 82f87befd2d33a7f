// Things that a ray can hit.
#pragma once

#include "bounds.hpp"
#include "material.hpp"
#include "ray.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace rt {

struct Hit {
    double t = 0;
    Point point;
    // Unit length, against the ray.
    Vec3 normal;
    bool from_outside = true;
    const Material* material = nullptr;
};

// `outward` is the unit normal of the surface, whichever side the ray comes from.
Hit make_hit(const Ray& ray, double t, const Vec3& outward, const Material& material);

class Shape {
public:
    virtual ~Shape() = default;

    // The nearest hit within `range`.
    virtual std::optional<Hit> hit(const Ray& ray, Interval range) const = 0;
    virtual Bounds bounds() const = 0;
};

using ShapePtr = std::unique_ptr<const Shape>;
using Shapes = std::vector<ShapePtr>;

ShapePtr make_sphere(Point centre, double radius, MaterialPtr material);
ShapePtr make_triangle(Point a, Point b, Point c, MaterialPtr material);
// The parallelogram of `corner`, `corner + u` and `corner + v`.
ShapePtr make_quad(Point corner, Vec3 u, Vec3 v, MaterialPtr material);
// Six quads, from one corner to the opposite one.
void add_box(Shapes& shapes, Point low, Point high, const MaterialPtr& material);

}  // namespace rt
