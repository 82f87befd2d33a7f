// How a surface sends light on.
#pragma once

#include "ray.hpp"
#include "sampler.hpp"
#include "texture.hpp"

#include <memory>
#include <optional>

namespace rt {

struct Hit;

// What is left of a ray after it met a surface.
struct Scattered {
    Ray ray;
    Colour filter;
};

class Material {
public:
    virtual ~Material() = default;

    virtual Colour emitted(const Hit& hit) const;
    // Empty when the light is swallowed.
    virtual std::optional<Scattered> scatter(const Ray& in, const Hit& hit, Sampler& sampler) const = 0;
};

using MaterialPtr = std::shared_ptr<const Material>;

MaterialPtr make_matte(Texture texture);
// `blur` is 0 for a perfect mirror.
MaterialPtr make_metal(Texture texture, double blur);
MaterialPtr make_glass(double refractive_index);
MaterialPtr make_light(Texture texture, double strength);

}  // namespace rt
