#include "shape.hpp"

namespace rt {

Hit make_hit(const Ray& ray, double t, const Vec3& outward, const Material& material) {
    const bool from_outside = dot(ray.direction, outward) < 0;
    return {t, ray.at(t), from_outside ? outward : -outward, from_outside, &material};
}

}  // namespace rt
