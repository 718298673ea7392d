/* Hints to the processor. */
#ifndef NEEP_UTIL_CPU_H
#define NEEP_UTIL_CPU_H

/* Between two looks of a loop that spins: leaves the core's resources to its other thread. */
static inline void neep_cpu_relax(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
