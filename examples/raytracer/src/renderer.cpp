#include "renderer.hpp"

#include "thread_pool.hpp"

#include <atomic>

namespace rt {

namespace {

Colour trace(const Scene& scene, Ray ray, Sampler& sampler) {
    Colour light;
    Colour filter{1, 1, 1};
    for (int bounce = 0; bounce <= scene.bounces; ++bounce) {
        const std::optional<Hit> hit = scene.world->hit(ray, {});
        if (!hit) return light + filter * colour_at(scene.sky, normalised(ray.direction));
        light += filter * hit->material->emitted(*hit);
        const std::optional<Scattered> scattered = hit->material->scatter(ray, *hit, sampler);
        if (!scattered) return light;
        filter = filter * scattered->filter;
        ray = scattered->ray;
    }
    return light;
}

Colour pixel(const Scene& scene, const Camera& camera, int x, int y) {
    Sampler sampler(static_cast<std::uint64_t>(y) * scene.width + x);
    Colour sum;
    for (int i = 0; i < scene.samples; ++i) {
        const double dx = sampler.uniform();
        const double dy = sampler.uniform();
        sum += trace(scene, camera.ray_through(x + dx, y + dy, sampler), sampler);
    }
    return sum / scene.samples;
}

}  // namespace

Image render(const Scene& scene, unsigned threads, const Progress& progress) {
    const Camera camera(scene.camera, scene.width, scene.height);
    Image image(scene.width, scene.height);
    std::atomic<int> done{0};
    ThreadPool pool(threads);
    for (int y = 0; y < scene.height; ++y) {
        pool.submit([&, y] {
            for (int x = 0; x < scene.width; ++x) image.at(x, y) = pixel(scene, camera, x, y);
            progress(++done, scene.height);
        });
    }
    pool.wait();
    return image;
}

}  // namespace rt
