/* USDT trace points (provider "neep"), listed with a bpftrace line each in docs/tracing.md.
 * A probe that nobody attached to is one nop; without <sys/sdt.h> it is nothing at all. */
#ifndef NEEP_UTIL_TRACE_H
#define NEEP_UTIL_TRACE_H

#ifdef HAVE_SDT
#include <sys/sdt.h>
#define NEEP_TRACE1(name, a)          DTRACE_PROBE1(neep, name, a)
#define NEEP_TRACE2(name, a, b)       DTRACE_PROBE2(neep, name, a, b)
#define NEEP_TRACE3(name, a, b, c)    DTRACE_PROBE3(neep, name, a, b, c)
#define NEEP_TRACE4(name, a, b, c, d) DTRACE_PROBE4(neep, name, a, b, c, d)
#else
#define NEEP_TRACE1(name, a)          ((void)(a))
#define NEEP_TRACE2(name, a, b)       ((void)(a), (void)(b))
#define NEEP_TRACE3(name, a, b, c)    ((void)(a), (void)(b), (void)(c))
#define NEEP_TRACE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
