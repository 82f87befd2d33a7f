#include "options.hpp"

#include <charconv>

namespace rt {

namespace {

unsigned to_count(const std::string& text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0) {
        throw UsageError("'" + text + "' is not a number of threads");
    }
    return value;
}

}  // namespace

const char* usage() {
    return "usage: raytracer SCENE [--output FILE] [--threads N] [--quiet]\n"
           "\n"
           "  --output FILE  where the picture goes, as PPM (default: out.ppm)\n"
           "  --threads N    default: one for each processor\n"
           "  --quiet        no progress on standard error\n";
}

Options parse_options(const std::vector<std::string>& words) {
    Options options;
    for (auto word = words.begin(); word != words.end(); ++word) {
        const auto argument = [&]() -> const std::string& {
            if (std::next(word) == words.end()) throw UsageError(*word + " needs an argument");
            return *++word;
        };
        if (*word == "--help") {
            options.help = true;
            return options;
        }
        if (*word == "--output") {
            options.output = argument();
        } else if (*word == "--threads") {
            options.threads = to_count(argument());
        } else if (*word == "--quiet") {
            options.quiet = true;
        } else if (word->rfind("--", 0) == 0) {
            throw UsageError("unknown option " + *word);
        } else if (options.scene.empty()) {
            options.scene = *word;
        } else {
            throw UsageError("more than one scene");
        }
    }
    if (options.scene.empty()) throw UsageError("no scene");
    return options;
}

}  // namespace rt
