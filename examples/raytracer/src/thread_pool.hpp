// A fixed set of threads that work through a queue.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace rt {

class ThreadPool {
public:
    explicit ThreadPool(unsigned threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    void submit(std::function<void()> task);
    // Returns when the queue is empty and all threads idle; throws what the first failing task threw.
    void wait();

private:
    void work();

    std::mutex mutex_;  // guards all that follows, but the threads
    std::condition_variable changed_;
    std::queue<std::function<void()>> queue_;
    std::size_t running_ = 0;
    std::exception_ptr failure_;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace rt
