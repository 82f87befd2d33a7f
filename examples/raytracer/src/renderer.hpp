// From a scene to a picture.
#pragma once

#include "image.hpp"
#include "scene.hpp"

#include <functional>

namespace rt {

// Called from many threads at once, with rows done and rows in all.
using Progress = std::function<void(int, int)>;

// The picture is the same for every number of threads.
Image render(const Scene& scene, unsigned threads, const Progress& progress);

}  // namespace rt
