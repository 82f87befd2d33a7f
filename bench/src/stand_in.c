/* A compiler that answers at once, so that what is left is the cost of bringing a compile there and back:
   writes 40 KiB that pack like an object file to the argument of -o, and a dependency file to that of -MF. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static char object[40 * 1024];

static int write_file(const char *name, const void *bytes, size_t count) {
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    return file >= 0 && write(file, bytes, count) == (ssize_t)count && close(file) == 0;
}

int main(int argc, char **argv) {
    const char *output = "a.out", *dependencies = NULL;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "-o") == 0)
            output = argv[++i];
        else if (strcmp(argv[i], "-MF") == 0)
            dependencies = argv[++i];
    }
    unsigned state = 1;
    for (size_t i = 0; i < sizeof object; i++) {
        state = state * 1664525u + 1013904223u;
        object[i] = i % 3 ? (char)(state >> 28) : 0;
    }
    if (!write_file(output, object, sizeof object)) return 1;
    return dependencies && !write_file(dependencies, "x: x\n", 5);
}
