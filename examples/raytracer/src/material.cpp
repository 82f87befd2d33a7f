#include "material.hpp"

#include "shape.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace rt {

namespace {

class Matte final : public Material {
public:
    explicit Matte(Texture texture) : texture_(std::move(texture)) {}

    std::optional<Scattered> scatter(const Ray&, const Hit& hit, Sampler& sampler) const override {
        Vec3 direction = hit.normal + sampler.on_unit_sphere();
        if (dot(direction, direction) < 1e-12) direction = hit.normal;
        return Scattered{{hit.point, direction}, colour_at(texture_, hit.point)};
    }

private:
    Texture texture_;
};

class Metal final : public Material {
public:
    Metal(Texture texture, double blur) : texture_(std::move(texture)), blur_(blur) {}

    std::optional<Scattered> scatter(const Ray& in, const Hit& hit, Sampler& sampler) const override {
        const Vec3 mirrored = normalised(reflect(in.direction, hit.normal));
        const Vec3 direction = mirrored + sampler.on_unit_sphere() * blur_;
        if (dot(direction, hit.normal) <= 0) return std::nullopt;
        return Scattered{{hit.point, direction}, colour_at(texture_, hit.point)};
    }

private:
    Texture texture_;
    double blur_;
};

class Glass final : public Material {
public:
    explicit Glass(double refractive_index) : index_(refractive_index) {}

    std::optional<Scattered> scatter(const Ray& in, const Hit& hit, Sampler& sampler) const override {
        const double ratio = hit.from_outside ? 1 / index_ : index_;
        const Vec3 unit = normalised(in.direction);
        const double cosine = std::min(-dot(unit, hit.normal), 1.0);
        const double sine = std::sqrt(1 - cosine * cosine);
        const bool reflects = ratio * sine > 1 || reflectance(cosine, ratio) > sampler.uniform();
        const Vec3 direction = reflects ? reflect(unit, hit.normal) : refract(unit, hit.normal, cosine, ratio);
        return Scattered{{hit.point, direction}, {1, 1, 1}};
    }

private:
    static Vec3 refract(const Vec3& unit, const Vec3& normal, double cosine, double ratio) {
        const Vec3 across = (unit + normal * cosine) * ratio;
        const Vec3 along = normal * -std::sqrt(std::fabs(1 - dot(across, across)));
        return across + along;
    }

    // Schlick's approximation.
    static double reflectance(double cosine, double ratio) {
        const double root = (1 - ratio) / (1 + ratio);
        const double straight = root * root;
        const double rest = 1 - cosine;
        return straight + (1 - straight) * rest * rest * rest * rest * rest;
    }

    double index_;
};

class Light final : public Material {
public:
    Light(Texture texture, double strength) : texture_(std::move(texture)), strength_(strength) {}

    Colour emitted(const Hit& hit) const override { return colour_at(texture_, hit.point) * strength_; }

    std::optional<Scattered> scatter(const Ray&, const Hit&, Sampler&) const override { return std::nullopt; }

private:
    Texture texture_;
    double strength_;
};

}  // namespace

Colour Material::emitted(const Hit&) const { return {}; }

MaterialPtr make_matte(Texture texture) { return std::make_shared<Matte>(std::move(texture)); }

MaterialPtr make_metal(Texture texture, double blur) {
    return std::make_shared<Metal>(std::move(texture), blur);
}

MaterialPtr make_glass(double refractive_index) { return std::make_shared<Glass>(refractive_index); }

MaterialPtr make_light(Texture texture, double strength) {
    return std::make_shared<Light>(std::move(texture), strength);
}

}  // namespace rt
