// Found by the value of a macro.
