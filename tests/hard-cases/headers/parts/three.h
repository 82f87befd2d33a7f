// Named by an X-macro.
