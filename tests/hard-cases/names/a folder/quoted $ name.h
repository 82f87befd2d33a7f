// With a sign.
