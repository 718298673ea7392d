/* What fails; dma-bufs themselves need the kernel's device: tests/cross_domain/test_dmabufs.c. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "util/udmabuf.h"

static void create_fails_where_the_device_is_another(void **state) {
	(void)state;
	int memfd = neep_memfd_create("test", 4096);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(neep_udmabuf_create(null, memfd, 4096), -ENOTTY);
	assert_int_equal(neep_udmabuf_create(-1, memfd, 4096), -EBADF);
	close(null);
	close(memfd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(create_fails_where_the_device_is_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
