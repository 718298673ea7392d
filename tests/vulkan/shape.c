#include "shape.h"

#include <math.h>
#include <string.h>

#include "out.h"

#define LEAVES   9
#define GROUND_Y -1.62f

struct point {
	float x, y, z;
};

/* A surface: where (u, v), both 0 to 1, lies, and what colour it has there. */
struct surface {
	struct point (*place)(float u, float v, uint32_t which);
	struct point (*color)(float u, float v, struct point place);
	uint32_t columns;
	uint32_t rows;
};

static float mix(float a, float b, float t) {
	return a + (b - a) * t;
}

static struct point mix_points(struct point a, struct point b, float t) {
	return (struct point){ mix(a.x, b.x, t), mix(a.y, b.y, t), mix(a.z, b.z, t) };
}

static float smooth(float from, float to, float x) {
	float t = fminf(fmaxf((x - from) / (to - from), 0), 1);
	return t * t * (3 - 2 * t);
}

static struct point minus(struct point a, struct point b) {
	return (struct point){ a.x - b.x, a.y - b.y, a.z - b.z };
}

static struct point unit_cross(struct point a, struct point b) {
	struct point c = { a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x };
	float length = sqrtf(c.x * c.x + c.y * c.y + c.z * c.z);
	return length > 0 ? (struct point){ c.x / length, c.y / length, c.z / length }
			  : (struct point){ 0, 1, 0 };
}

/* The root: a bulb with a thin tail, ridges at its shoulder and a hollow crown. */
static struct point root_place(float u, float v, uint32_t which) {
	(void)which;
	float around = u * 2 * (float)M_PI, along = v * (float)M_PI;
	float radius = 1.05f * powf(sinf(along), 0.85f), y = -0.88f * cosf(along);
	radius *= 1 + 0.022f * sinf(3 * around + 1) + 0.012f * sinf(7 * around + 5 * y);
	radius *= 1 + 0.014f * sinf(42 * y) * smooth(0.30f, 0.75f, y);
	float tail = expf(-radius * radius * 16) * smooth(0.1f, -0.5f, y);
	float bend = tail * 0.22f;
	float crown = expf(-radius * radius * 9) * smooth(0.3f, 0.8f, y);
	y -= 0.72f * tail + 0.10f * crown;
	return (struct point){ radius * cosf(around) + bend, y, radius * sinf(around) };
}

static struct point root_color(float u, float v, struct point place) {
	float around = u * 2 * (float)M_PI;
	(void)v;
	float edge = 0.10f + 0.07f * sinf(5 * around) + 0.05f * sinf(11 * around + 2) +
		     0.03f * sinf(23 * around + 1);
	const struct point gold = { 0.93f, 0.67f, 0.27f }, pale = { 0.97f, 0.84f, 0.55f };
	const struct point purple = { 0.36f, 0.07f, 0.30f }, crown = { 0.42f, 0.33f, 0.12f };
	struct point color = mix_points(pale, gold, smooth(-1.3f, -0.2f, place.y));
	float streak = 0.5f + 0.5f * sinf(60 * place.y + 2 * sinf(4 * around));
	color = mix_points(
		color, (struct point){ 0.62f, 0.40f, 0.16f }, 0.18f * streak * smooth(0, -0.9f, place.y));
	color = mix_points(color, purple, smooth(edge - 0.16f, edge + 0.20f, place.y));
	return mix_points(
		color, crown, smooth(0.68f, 0.78f, place.y) * smooth(0.55f, 0.2f, hypotf(place.x, place.z)));
}

/* The middle of leaf `which` at t from the crown (0) to the tip (1): outer leaves lean further than inner ones. */
static struct point rib(float t, uint32_t which) {
	float angle = (float)which * 2.39996f; // the golden angle, as plants have it
	float inner = (float)which / LEAVES;
	float reach = 1.45f - 0.95f * inner, height = 1.45f + 0.55f * inner;
	float out = 0.10f + reach * powf(t, 1.7f);
	return (struct point){ out * cosf(angle),
		0.66f + height * (1.35f * t - 0.45f * t * t * (1.3f - inner)), out * sinf(angle) };
}

static struct point stalk_place(float u, float v, uint32_t which) {
	struct point middle = rib(v * 0.9f, which), next = rib(v * 0.9f + 0.01f, which);
	struct point ahead = minus(next, middle);
	struct point side = unit_cross(ahead, (struct point){ middle.x, 0, middle.z });
	struct point up = unit_cross(side, ahead);
	float radius = mix(0.085f, 0.015f, v), c = radius * cosf(u * 2 * (float)M_PI),
	      s = radius * sinf(u * 2 * (float)M_PI);
	return (struct point){ middle.x + c * side.x + s * up.x, middle.y + c * side.y + s * up.y,
		middle.z + c * side.z + s * up.z };
}

static struct point stalk_color(float u, float v, struct point place) {
	(void)u;
	(void)place;
	return mix_points((struct point){ 0.42f, 0.12f, 0.30f }, (struct point){ 0.50f, 0.66f, 0.22f },
		smooth(0, 0.4f, v));
}

/* A blade: widest in its upper half, lobed and ruffled at the edge. */
static struct point blade_place(float u, float v, uint32_t which) {
	float t = mix(0.30f, 1.06f, v), across = 2 * u - 1;
	struct point middle = rib(t, which), next = rib(t + 0.01f, which);
	struct point ahead = minus(next, middle);
	struct point side = unit_cross(ahead, (struct point){ middle.x, 0.001f, middle.z });
	struct point up = unit_cross(side, ahead);
	float width = 0.46f * powf(sinf((float)M_PI * powf(v, 1.25f)), 0.75f) * (1 + 0.13f * sinf(34 * v));
	float edge = across * across;
	float lift = 0.09f * edge * sinf(21 * v + 3 * across + (float)which) + 0.14f * edge * width;
	return (struct point){ middle.x + across * width * side.x + lift * up.x,
		middle.y + across * width * side.y + lift * up.y,
		middle.z + across * width * side.z + lift * up.z };
}

static struct point blade_color(float u, float v, struct point place) {
	(void)place;
	float across = fabsf(2 * u - 1);
	float vein = 0.5f + 0.5f * cosf(70 * (v - 0.22f * across));
	struct point green =
		mix_points((struct point){ 0.10f, 0.34f, 0.08f }, (struct point){ 0.24f, 0.52f, 0.12f }, v);
	green = mix_points(green, (struct point){ 0.40f, 0.62f, 0.22f }, 0.35f * powf(vein, 8));
	return mix_points((struct point){ 0.60f, 0.74f, 0.34f }, green, smooth(0.02f, 0.10f, across));
}

/* The ground fades to the colour that the target is cleared to. */
static struct point ground_place(float u, float v, uint32_t which) {
	(void)which;
	float radius = 9 * v * v, around = -u * 2 * (float)M_PI;
	return (struct point){ radius * cosf(around), GROUND_Y, radius * sinf(around) };
}

static struct point ground_color(float u, float v, struct point place) {
	(void)u;
	(void)v;
	float away = hypotf(place.x + 0.35f, place.z + 0.15f);
	float shadow = 0.75f * expf(-away * away * 0.9f) + 0.25f * expf(-away * away * 6);
	float light = 1 - 0.72f * shadow;
	return (struct point){ 0.62f * light, 0.60f * light, 0.57f * light };
}

static const struct surface root = { root_place, root_color, 192, 160 };
static const struct surface stalk = { stalk_place, stalk_color, 16, 32 };
static const struct surface blade = { blade_place, blade_color, 24, 96 };
static const struct surface ground = { ground_place, ground_color, 96, 48 };

static struct shape_vertex vertex(const struct surface *surface, float u, float v, uint32_t which) {
	const float step = 1e-3f;
	struct point place = surface->place(u, v, which), color = surface->color(u, v, place);
	// At a pole all u are one place: the slopes are taken a little beside it.
	float beside = fminf(fmaxf(v, 2 * step), 1 - 2 * step);
	struct point along_u =
		minus(surface->place(u + step, beside, which), surface->place(u - step, beside, which));
	struct point along_v =
		minus(surface->place(u, beside + step, which), surface->place(u, beside - step, which));
	struct point normal = unit_cross(along_v, along_u);
	return (struct shape_vertex){
		{ place.x, place.y, place.z },
		{ normal.x, normal.y, normal.z },
		{ color.x, color.y, color.z },
	};
}

static void add_quad(struct shape *shape, uint32_t first, uint32_t row) {
	const uint32_t corners[] = { first, first + row, first + 1, first + 1, first + row, first + row + 1 };
	memcpy(shape->indices + shape->index_count, corners, sizeof(corners));
	shape->index_count += 6;
}

static void add(struct shape *shape, const struct surface *surface, uint32_t which) {
	uint32_t row = surface->columns + 1, first = shape->vertex_count;
	for (uint32_t i = 0; i < row * (surface->rows + 1); i++) {
		float u = (float)(i % row) / (float)surface->columns,
		      v = (float)(i / row) / (float)surface->rows;
		shape->vertices[shape->vertex_count++] = vertex(surface, u, v, which);
	}
	for (uint32_t i = 0; i < surface->columns * surface->rows; i++) {
		add_quad(shape, first + i / surface->columns * row + i % surface->columns, row);
	}
}

static uint32_t vertices_of(const struct surface *surface) {
	return (surface->columns + 1) * (surface->rows + 1);
}

void shape_create(struct shape *shape) {
	uint32_t count = vertices_of(&root) + vertices_of(&ground) +
			 LEAVES * (vertices_of(&stalk) + vertices_of(&blade));
	*shape = (struct shape){
		.vertices = out_alloc(count, sizeof(*shape->vertices)),
		.indices = out_alloc((size_t)count * 6, sizeof(*shape->indices)),
	};
	add(shape, &ground, 0);
	add(shape, &root, 0);
	for (uint32_t i = 0; i < LEAVES; i++) {
		add(shape, &stalk, i);
		add(shape, &blade, i);
	}
}

void shape_destroy(struct shape *shape) {
	free(shape->indices);
	free(shape->vertices);
}
