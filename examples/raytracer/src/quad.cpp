#include "shape.hpp"

#include <cmath>
#include <utility>

namespace rt {

namespace {

class Quad final : public Shape {
public:
    Quad(Point corner, Vec3 u, Vec3 v, MaterialPtr material)
        : corner_(corner), u_(u), v_(v), material_(std::move(material)) {
        const Vec3 n = cross(u, v);
        normal_ = normalised(n);
        w_ = n / dot(n, n);
        offset_ = dot(normal_, corner);
    }

    std::optional<Hit> hit(const Ray& ray, Interval range) const override {
        const double slope = dot(normal_, ray.direction);
        if (std::fabs(slope) < 1e-12) return std::nullopt;
        const double t = (offset_ - dot(normal_, ray.origin)) / slope;
        if (!range.contains(t)) return std::nullopt;

        const Vec3 inside = ray.at(t) - corner_;
        const double share_u = dot(w_, cross(inside, v_));
        const double share_v = dot(w_, cross(u_, inside));
        if (share_u < 0 || share_u > 1 || share_v < 0 || share_v > 1) return std::nullopt;
        return make_hit(ray, t, normal_, *material_);
    }

    Bounds bounds() const override {
        // A flat box would be missed by rounding: give it some thickness.
        const Vec3 pad{1e-4, 1e-4, 1e-4};
        Bounds all(corner_ - pad, corner_ + u_ + v_ + pad);
        all.include({corner_ + u_ - pad, corner_ + v_ + pad});
        return all;
    }

private:
    Point corner_;
    Vec3 u_;
    Vec3 v_;
    Vec3 normal_;
    Vec3 w_;
    double offset_ = 0;
    MaterialPtr material_;
};

}  // namespace

ShapePtr make_quad(Point corner, Vec3 u, Vec3 v, MaterialPtr material) {
    return std::make_unique<Quad>(corner, u, v, std::move(material));
}

void add_box(Shapes& shapes, Point low, Point high, const MaterialPtr& material) {
    const Vec3 size = high - low;
    const Vec3 dx{size.x, 0, 0};
    const Vec3 dy{0, size.y, 0};
    const Vec3 dz{0, 0, size.z};
    for (const auto& [u, v] : {std::pair{dx, dy}, std::pair{dy, dz}, std::pair{dz, dx}}) {
        shapes.push_back(make_quad(low, u, v, material));
        shapes.push_back(make_quad(high, -u, -v, material));
    }
}

}  // namespace rt
