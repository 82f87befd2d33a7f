#include "progress.hpp"

#include <iomanip>

namespace rt {

void ProgressLine::update(int done, int all) {
    const std::lock_guard lock(mutex_);
    const int percent = 100 * done / all;
    if (percent <= shown_) return;
    shown_ = percent;
    out_ << "\rrendering " << std::setw(3) << percent << " %" << (percent == 100 ? "\n" : "") << std::flush;
}

}  // namespace rt
