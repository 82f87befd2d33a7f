// A progress line for a person who waits.
#pragma once

#include <mutex>
#include <ostream>

namespace rt {

class ProgressLine {
public:
    explicit ProgressLine(std::ostream& out) : out_(out) {}

    // May be called from any thread; prints when the percentage changes.
    void update(int done, int all);

private:
    std::mutex mutex_;  // guards the rest
    std::ostream& out_;
    int shown_ = -1;
};

}  // namespace rt
