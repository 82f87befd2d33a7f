// The last wrapper: there is no other behind it.
