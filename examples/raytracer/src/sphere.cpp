#include "shape.hpp"

#include <cmath>
#include <utility>

namespace rt {

namespace {

class Sphere final : public Shape {
public:
    Sphere(Point centre, double radius, MaterialPtr material)
        : centre_(centre), radius_(radius), material_(std::move(material)) {}

    std::optional<Hit> hit(const Ray& ray, Interval range) const override {
        const Vec3 to_centre = centre_ - ray.origin;
        const double a = dot(ray.direction, ray.direction);
        const double half_b = dot(ray.direction, to_centre);
        const double discriminant = half_b * half_b - a * (dot(to_centre, to_centre) - radius_ * radius_);
        if (discriminant < 0) return std::nullopt;

        const double root = std::sqrt(discriminant);
        double t = (half_b - root) / a;
        if (!range.contains(t)) t = (half_b + root) / a;
        if (!range.contains(t)) return std::nullopt;
        return make_hit(ray, t, (ray.at(t) - centre_) / radius_, *material_);
    }

    Bounds bounds() const override {
        const Vec3 reach{radius_, radius_, radius_};
        return {centre_ - reach, centre_ + reach};
    }

private:
    Point centre_;
    double radius_;
    MaterialPtr material_;
};

}  // namespace

ShapePtr make_sphere(Point centre, double radius, MaterialPtr material) {
    return std::make_unique<Sphere>(centre, radius, std::move(material));
}

}  // namespace rt
