#include "options.hpp"
#include "progress.hpp"
#include "renderer.hpp"
#include "scene.hpp"

#include <iostream>
#include <thread>

namespace {

int run(const rt::Options& options) {
    const rt::Scene scene = rt::load_scene(options.scene);
    const unsigned threads = options.threads != 0 ? options.threads : std::thread::hardware_concurrency();
    rt::ProgressLine line(std::cerr);
    const rt::Image image = rt::render(scene, threads, [&](int done, int all) {
        if (!options.quiet) line.update(done, all);
    });
    image.save(options.output);
    std::cout << image.width() << "x" << image.height() << " pixels, " << scene.samples << " samples each -> "
              << options.output.string() << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const rt::Options options = rt::parse_options({argv + 1, argv + argc});
        if (options.help) {
            std::cout << rt::usage();
            return 0;
        }
        return run(options);
    } catch (const rt::UsageError& error) {
        std::cerr << "raytracer: " << error.what() << '\n' << rt::usage();
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "raytracer: " << error.what() << '\n';
        return 1;
    }
}
