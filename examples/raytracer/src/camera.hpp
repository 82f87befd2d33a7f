// Where rays start.
#pragma once

#include "ray.hpp"
#include "sampler.hpp"

namespace rt {

struct CameraSettings {
    Point from{0, 1, 5};
    Point at{0, 0, 0};
    Vec3 up{0, 1, 0};
    // Height of the visible field at distance 1. A number and not an angle, since a tangent
    // may differ in its last bit between C libraries.
    double field = 1;
    double aperture = 0;
};

class Camera {
public:
    Camera(const CameraSettings& settings, int width, int height);

    // `x` and `y` are in pixels, from the upper left corner.
    Ray ray_through(double x, double y, Sampler& sampler) const;

private:
    Point from_;
    Point upper_left_;
    Vec3 step_right_;
    Vec3 step_down_;
    Vec3 lens_right_;
    Vec3 lens_up_;
};

}  // namespace rt
