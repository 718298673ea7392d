// What the compiler calls and no library is there to give: functions of memory.
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
	void *end = to;
	__asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t n) {
	void *end = to;
	__asm__ volatile("rep stosb" : "+D"(end), "+c"(n) : "a"(value) : "memory");
	return to;
}
