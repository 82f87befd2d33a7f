#include "shape.hpp"

#include <cmath>
#include <utility>

namespace rt {

namespace {

// Möller and Trumbore's test.
class Triangle final : public Shape {
public:
    Triangle(Point a, Point b, Point c, MaterialPtr material)
        : corner_(a), u_(b - a), v_(c - a), normal_(normalised(cross(u_, v_))), material_(std::move(material)) {}

    std::optional<Hit> hit(const Ray& ray, Interval range) const override {
        const Vec3 p = cross(ray.direction, v_);
        const double determinant = dot(u_, p);
        if (std::fabs(determinant) < 1e-12) return std::nullopt;

        const Vec3 offset = ray.origin - corner_;
        const double share_u = dot(offset, p) / determinant;
        if (share_u < 0 || share_u > 1) return std::nullopt;
        const Vec3 q = cross(offset, u_);
        const double share_v = dot(ray.direction, q) / determinant;
        if (share_v < 0 || share_u + share_v > 1) return std::nullopt;

        const double t = dot(v_, q) / determinant;
        if (!range.contains(t)) return std::nullopt;
        return make_hit(ray, t, normal_, *material_);
    }

    Bounds bounds() const override {
        Bounds all(corner_, corner_ + u_);
        all.include({corner_, corner_ + v_});
        return all;
    }

private:
    Point corner_;
    Vec3 u_;
    Vec3 v_;
    Vec3 normal_;
    MaterialPtr material_;
};

}  // namespace

ShapePtr make_triangle(Point a, Point b, Point c, MaterialPtr material) {
    return std::make_unique<Triangle>(a, b, c, std::move(material));
}

}  // namespace rt
