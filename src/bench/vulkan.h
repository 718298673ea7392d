/* `neep bench vulkan`: what Vulkan through neep costs, beside the same program run natively in the same run. */
#ifndef NEEP_BENCH_VULKAN_H
#define NEEP_BENCH_VULKAN_H

/* argv[0] is "vulkan". Returns an exit code as neep_bench_main() does. */
int bench_vulkan_main(int argc, char **argv);

#endif
