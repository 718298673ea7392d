/* `neep bench`: measures a vhost-user-gpu back-end from the driver's side, alone or beside another one in the same run.
 *
 * Nothing here is a test: it prints a table (or JSON) and fails only when it cannot measure. */
#ifndef NEEP_BENCH_BENCH_H
#define NEEP_BENCH_BENCH_H

/* argv[0] is the subcommand's name. Returns the exit code: 0 done, 1 a back-end could not be started, 2 the command line was
 * wrong. Starts the back-ends as children and ends them; runs threads of its own meanwhile. */
int neep_bench_main(int argc, char **argv);

#endif
