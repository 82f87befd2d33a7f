// Not guarded: who imports it twice gets it once.
#ifdef SHAPE
#error "twice"
#endif
#ifdef SHAPE_INCLUDED
#define SHAPE
#else
#define SHAPE_INCLUDED
#endif
