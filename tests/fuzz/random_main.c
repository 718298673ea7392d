/* Check 134: a fuzz target over the machine on random bytes, until so many buffers came back. A case of TAP.
 * usage: random_NAME ELEMENTS [SEED] */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/device_machine.h"
#include "fuzz/fuzz.h"

#define INPUT_MAX 2048

/* xorshift64*: the same inputs on every machine. */
static uint64_t next(uint64_t *state) {
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

int main(int argc, char **argv) {
	uint64_t elements = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 134;
	uint64_t inputs = 0;
	printf("1..1\n");
	fflush(stdout);
	for (; machine_elements < elements; inputs++) {
		size_t size = next(&state) % INPUT_MAX + 1;
		uint8_t *data = malloc(size);
		if (data == NULL) {
			return 1;
		}
		for (size_t i = 0; i < size; i++) {
			data[i] = (uint8_t)(next(&state) >> 56);
		}
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	printf("ok 1 - check_134_random_elements\n# %llu elements of %llu inputs\n",
		(unsigned long long)machine_elements, (unsigned long long)inputs);
	return 0;
}
