// Read by 32 bit units only, such as that of the 32 bit vdso.
