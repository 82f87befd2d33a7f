// Checks what the processor's own header said.
#if BITS_PER_LONG != 64 && BITS_PER_LONG != 32
#error "an unusual processor"
#endif
