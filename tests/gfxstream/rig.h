/* An instance of the library with the gfxstream component on the scripted renderer, and a guest's commands. */
#ifndef NEEP_TESTS_GFXSTREAM_RIG_H
#define NEEP_TESTS_GFXSTREAM_RIG_H

#include "script.h"
#include "support/rig.h"

#define RIG_RING_SIZE 1060864

/* cmocka: *state is a struct rig; no fd and no child is left behind. */
int rig_setup(void **state);
int rig_setup_thread(void **state);
int rig_teardown(void **state);
#define rig_test(fn)        cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
#define rig_thread_test(fn) cmocka_unit_test_setup_teardown(fn, rig_setup_thread, rig_teardown)

/* A builder whose callbacks write to the rig. */
struct rutabaga_builder rig_builder(struct rig *rig);

/* Until no descendant process is left but the spawner. */
void rig_await_no_renderers(struct rig *rig);
/* Descendant processes of this one, the spawner among them; zombies count. */
size_t rig_processes(void);

int rig_context(struct rig *rig, uint32_t ctx_id, const char *name);
int rig_blob(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size);
/* A blob of the size of a ring, attached, and made one. */
int rig_ring(struct rig *rig, uint32_t ctx_id, uint32_t resource_id);
int rig_submit(struct rig *rig, uint32_t ctx_id, const uint32_t *words, size_t count);
int rig_ping(struct rig *rig, uint32_t ctx_id, uint32_t resource_id);
/* 0xa000 */
int rig_order(struct rig *rig, uint32_t ctx_id, enum script_order order, uint64_t operand);
/* 0xa003 */
int rig_announce(struct rig *rig, uint32_t ctx_id, uint64_t blob_id);

/* The memory of a mapped blob, mapped at the first call. */
volatile uint32_t *rig_words(struct rig *rig, uint32_t resource_id);
/* Turns until the word is `value`. */
void rig_await_word(struct rig *rig, volatile uint32_t *word, uint32_t value);

#endif
