// Where counting.h ends.
