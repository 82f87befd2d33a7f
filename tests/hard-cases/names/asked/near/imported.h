#define ONCE_MORE
