/* Intrusive doubly linked circular list.
 *
 * A head is a struct neep_list that neep_list_init() made empty; a link is a struct neep_list inside the
 * element. Each head says in a comment what it holds: `struct neep_list fences; // neep_fence.link`.
 * Not thread safe. */
#ifndef NEEP_UTIL_LIST_H
#define NEEP_UTIL_LIST_H

#include <stdbool.h>

#include "util/macros.h"

struct neep_list {
	struct neep_list *prev;
	struct neep_list *next;
};

/* Makes `list` an empty head, or a link that is in no list. */
static inline void neep_list_init(struct neep_list *list) {
	list->prev = list;
	list->next = list;
}

static inline bool neep_list_is_empty(const struct neep_list *list) {
	return list->next == list;
}

/* Puts `link` behind `after`, which is the head (then `link` is first) or an element. */
static inline void neep_list_insert(struct neep_list *after, struct neep_list *link) {
	link->prev = after;
	link->next = after->next;
	after->next->prev = link;
	after->next = link;
}

/* Puts `link` at the end of the list of `head`. */
static inline void neep_list_append(struct neep_list *head, struct neep_list *link) {
	neep_list_insert(head->prev, link);
}

/* Takes `link` out of its list; it may be removed again or inserted anew. */
static inline void neep_list_remove(struct neep_list *link) {
	link->prev->next = link->next;
	link->next->prev = link->prev;
	neep_list_init(link);
}

/* `pos` walks over the elements; the body must not remove elements. */
#define neep_list_for_each(pos, head, type, member)                                             \
	for (type *pos = neep_container_of((head)->next, type, member); &pos->member != (head); \
		pos = neep_container_of(pos->member.next, type, member))

/* As neep_list_for_each(), but the body may remove `pos` (and nothing else). */
#define neep_list_for_each_safe(pos, head, type, member)                           \
	for (type *pos = neep_container_of((head)->next, type, member),            \
		  *pos##_next = neep_container_of(pos->member.next, type, member); \
		&pos->member != (head);                                            \
		pos = pos##_next, pos##_next = neep_container_of(pos->member.next, type, member))

#endif
