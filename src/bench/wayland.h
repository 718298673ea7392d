/* `neep bench wayland`: what Wayland through neep costs, beside the same client run natively in the same run. */
#ifndef NEEP_BENCH_WAYLAND_H
#define NEEP_BENCH_WAYLAND_H

/* argv[0] is "wayland". Returns an exit code as neep_bench_main() does. */
int bench_wayland_main(int argc, char **argv);

#endif
