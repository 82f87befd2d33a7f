/* Notes of the 64 bit half. */
