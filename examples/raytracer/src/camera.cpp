#include "camera.hpp"

namespace rt {

Camera::Camera(const CameraSettings& settings, int width, int height) : from_(settings.from) {
    const double focus = length(settings.from - settings.at);
    const Vec3 back = normalised(settings.from - settings.at);
    const Vec3 right = normalised(cross(settings.up, back));
    const Vec3 up = cross(back, right);

    const double pixel = settings.field * focus / height;
    step_right_ = right * pixel;
    step_down_ = -up * pixel;
    upper_left_ = settings.at - step_right_ * (width * 0.5) - step_down_ * (height * 0.5);
    lens_right_ = right * (settings.aperture * 0.5);
    lens_up_ = up * (settings.aperture * 0.5);
}

Ray Camera::ray_through(double x, double y, Sampler& sampler) const {
    const Vec3 lens = sampler.in_unit_disc();
    const Point origin = from_ + lens_right_ * lens.x + lens_up_ * lens.y;
    return {origin, upper_left_ + step_right_ * x + step_down_ * y - origin};
}

}  // namespace rt
