/* Sequences of control commands, and what happens around them, on a whole device. */
#include "fuzz/device_command.h"
#include "fuzz/device_machine.h"
#include "fuzz/fuzz.h"

#define STEPS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static uint8_t command[MACHINE_COMMAND_MAX];
	struct neep_reader in;
	neep_reader_init(&in, data, size);
	struct machine *machine = machine_create(&in);
	for (int i = 0; i < STEPS_MAX && neep_reader_left(&in) > 0; i++) {
		uint8_t step = neep_reader_u8(&in);
		if (step == FUZZ_RAW_STEP) {
			size_t len = fuzz_raw_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CONTROLQ, command, len, &in);
			machine_run(machine);
		} else if (step < 200) {
			size_t len = fuzz_control_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CONTROLQ, command, len, &in);
			/* Else it waits for others, to be handled in one turn. */
			if (step < 150) {
				machine_run(machine);
			}
		} else if (step < 210) {
			size_t len = fuzz_cursor_command(&in, command);
			machine_send(machine, NEEP_DEVICE_CURSORQ, command, len, &in);
		} else {
			machine_meddle(machine, &in);
		}
	}
	machine_destroy(machine);
	return 0;
}
