/* A QEMU that answers what one of another release would: of what is not on this machine. */
#ifndef NEEP_TESTS_DAEMON_FAKE_QEMU_H
#define NEEP_TESTS_DAEMON_FAKE_QEMU_H

/* Makes it in the current folder: of this version, with these devices and displays (names with spaces between). Each start adds
 * a line to the file "asked". When it is started with others than questions, it writes its words to the file "words", one a
 * line, and runs `run`. */
#define FAKE_QEMU "qemu-system-x86_64"
void fake_qemu(const char *version, const char *devices);
void fake_qemu_running(const char *version, const char *devices, const char *run);

#endif
