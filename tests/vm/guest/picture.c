#include "picture.h"

#include <stdbool.h>
#include <stddef.h>

// Theory of operation. The scene is laid out on a canvas of 1600 x 1000 units around its middle, y downwards; points are in
// eighths of a unit. layer_at() says which thing covers a point and shade() gives that thing's colour there. A pixel whose four
// outer samples agree takes one colour; an edge pixel averages sixteen. Colours carry eight fraction bits, which an ordered
// dither spends at the end: gradients stay smooth, and a pixel that lands in the wrong place is seen.

#define U(units)      ((units)*8)
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

struct point {
	int64_t x;
	int64_t y;
};

struct colour { // 8.8 fixed point
	int32_t r;
	int32_t g;
	int32_t b;
};

enum layer {
	LAYER_LETTER,
	LAYER_SHADOW,
	LAYER_LEAF, // + index of the leaf * 3 + {vein, light side, dark side}
	LAYER_BODY = LAYER_LEAF + 15,
	LAYER_BODY_TOP,
	LAYER_MARK,
	LAYER_NECK,
	LAYER_HILL_FRONT,
	LAYER_HILL_BACK,
	LAYER_SUN,
	LAYER_STAR,
	LAYER_SKY, // + index of the ring around the sun
};

static const struct point crown = { U(-430), U(-205) };
static const struct point heart = { U(-430), U(40) };
static const struct point sun = { U(-430), U(0) };

static int64_t square(int64_t v) {
	return v * v;
}

static int64_t magnitude(int64_t v) {
	return v < 0 ? -v : v;
}

// A wave between 0 and height with the given period, made of straight lines.
static int64_t zigzag(int64_t v, int64_t period, int64_t height) {
	int64_t phase = ((v % period) + period) % period;
	return magnitude(2 * phase - period) * height / period;
}

static struct point from(struct point origin, struct point p) {
	return (struct point){ p.x - origin.x, p.y - origin.y };
}

static bool in_ellipse(struct point d, int64_t a, int64_t b) {
	return square(d.x * b) + square(d.y * a) <= square(a * b);
}

// Letters: bowls of one radius and stems of one weight, as in geometric type.
#define BOWL    U(92)
#define STROKE  U(40)
#define ADVANCE U(212)

static bool in_bowl(struct point d) {
	int64_t r2 = square(d.x) + square(d.y);
	return r2 <= square(BOWL) && r2 >= square(BOWL - STROKE);
}

static bool in_stem(struct point d, int64_t x, int64_t top, int64_t bottom) {
	return d.x >= x && d.x <= x + STROKE && d.y >= top && d.y <= bottom;
}

static bool in_n(struct point d) {
	return in_stem(d, -BOWL, -BOWL, BOWL) || in_stem(d, BOWL - STROKE, 0, BOWL) ||
	       (d.y <= 0 && in_bowl(d));
}

static bool in_e(struct point d) {
	if (magnitude(d.y) <= STROKE / 2) {
		return magnitude(d.x) <= BOWL - STROKE / 2 || in_bowl(d);
	}
	return in_bowl(d) && !(d.x > 0 && d.y > 0 && d.y < BOWL / 2);
}

static bool in_p(struct point d) {
	return in_stem(d, -BOWL, -BOWL, BOWL + U(105)) || in_bowl(d);
}

static bool in_word(struct point p) {
	static bool (*const letters[])(struct point) = { in_n, in_e, in_e, in_p };
	struct point d = from((struct point){ U(-100), U(30) }, p);
	if (d.y < -BOWL || d.y > BOWL + U(105) || d.x < 0 || d.x >= (int64_t)N_ELEMENTS(letters) * ADVANCE) {
		return false;
	}
	int64_t index = d.x / ADVANCE;
	d.x -= index * ADVANCE + ADVANCE / 2;
	return letters[index](d);
}

// Leaves: lenses with a scalloped edge that grow from the crown; c and s are the direction's cosine and sine * 1024.
struct leaf {
	int32_t c;
	int32_t s;
	int32_t length;
	int32_t width;
};

static const struct leaf leaves[] = {
	{ 0, -1024, U(122), U(46) },
	{ -658, -784, U(124), U(42) },
	{ 658, -784, U(124), U(42) },
	{ -962, -350, U(104), U(34) },
	{ 962, -350, U(104), U(34) },
};

// Returns 0 outside the leaf, else 1 on its vein, 2 on its light side, 3 on its dark one.
static int leaf_side(const struct leaf *leaf, struct point d) {
	int64_t u = (d.x * leaf->c + d.y * leaf->s) / 1024 - leaf->length;
	int64_t v = (d.y * leaf->c - d.x * leaf->s) / 1024;
	int64_t room = square(leaf->length) - square(u);
	int64_t width = leaf->width - zigzag(u, U(32), U(7));
	if (room <= 0 || magnitude(v) * square(leaf->length) > width * room) {
		return 0;
	}
	if (magnitude(v) <= U(3) || zigzag(u - 2 * magnitude(v), U(36), U(36)) < U(3)) {
		return 1;
	}
	return v * (leaf->c <= 0 ? 1 : -1) > 0 ? 2 : 3;
}

static int leaf_layer(struct point p) {
	struct point d = from(crown, p);
	if (d.y > U(20) || d.y < -U(250) || magnitude(d.x) > U(240)) {
		return -1;
	}
	for (size_t i = 0; i < N_ELEMENTS(leaves); i++) {
		int side = leaf_side(&leaves[i], d);
		if (side != 0) {
			return LAYER_LEAF + (int)i * 3 + side - 1;
		}
	}
	return -1;
}

// The swede: an ellipse that runs out in a thin root with a sway.
static bool in_root(struct point d) {
	int64_t top = U(150), length = U(215), t = d.y - top;
	if (t < 0 || t > length) {
		return false;
	}
	int64_t rest = length - t, middle = U(26) * t / length * t / length;
	return magnitude(d.x - middle) <= U(163) * rest / length * rest / length + U(3);
}

static bool in_neck(struct point p) {
	struct point d = from(crown, p);
	return d.y > -U(4) && d.y < U(50) && magnitude(d.x) <= U(50) + d.y / 3;
}

static bool in_marks(struct point d) {
	static const struct point marks[] = { { U(-95), U(122) }, { U(64), U(105) }, { U(10), U(168) },
		{ U(118), U(62) }, { U(-28), U(218) }, { U(-140), U(70) } };
	for (size_t i = 0; i < N_ELEMENTS(marks); i++) {
		if (in_ellipse(from(marks[i], d), U(34), U(3))) {
			return true;
		}
	}
	return false;
}

static int swede_layer(struct point p) {
	struct point d = from(heart, p);
	if (magnitude(d.x) > U(240) || d.y < U(-250) || d.y > U(370)) {
		return -1;
	}
	if (in_ellipse(d, U(238), U(216)) || in_root(d)) {
		if (d.y < U(-6) + zigzag(d.x, U(58), U(34)) - square(d.x) / U(2400)) {
			return LAYER_BODY_TOP;
		}
		return in_marks(d) ? LAYER_MARK : LAYER_BODY;
	}
	return in_neck(p) ? LAYER_NECK : -1;
}

static int ground_layer(struct point p) {
	if (p.y > U(372) + square(p.x - U(520)) / U(9000)) {
		return LAYER_HILL_FRONT;
	}
	return p.y > U(318) + square(p.x + U(620)) / U(8200) ? LAYER_HILL_BACK : -1;
}

static bool in_star(struct point p) {
	static const struct point stars[] = { { U(-60), U(-410) }, { U(120), U(-300) }, { U(250), U(-440) },
		{ U(390), U(-220) }, { U(480), U(-390) }, { U(620), U(-290) }, { U(700), U(-450) },
		{ U(740), U(-150) }, { U(40), U(-200) }, { U(-720), U(-440) }, { U(560), U(-110) } };
	if (p.y > U(-90)) {
		return false;
	}
	for (size_t i = 0; i < N_ELEMENTS(stars); i++) {
		struct point d = from(stars[i], p);
		if (magnitude(d.x) < U(16) && magnitude(d.y) < U(16) && magnitude(d.x * d.y) < square(U(2))) {
			return true;
		}
	}
	return false;
}

static int sky_layer(struct point p) {
	int64_t r2 = square(p.x - sun.x) + square(p.y - sun.y);
	int ring = 0;
	while (r2 > square(U(330) + ring * U(105))) {
		ring++;
	}
	return ring == 0 ? LAYER_SUN : LAYER_SKY + ring;
}

static int layer_at(struct point p) {
	if (in_word(p)) {
		return LAYER_LETTER;
	}
	int layer = leaf_layer(p);
	if (layer < 0) {
		layer = swede_layer(p);
	}
	if (layer < 0 && in_word(from((struct point){ U(9), U(11) }, p))) {
		layer = LAYER_SHADOW;
	}
	if (layer < 0) {
		layer = ground_layer(p);
	}
	if (layer < 0 && in_star(p)) {
		layer = LAYER_STAR;
	}
	return layer < 0 ? sky_layer(p) : layer;
}

static struct colour rgb(uint32_t hex) {
	return (struct colour){ (int32_t)(hex >> 16 & 255) << 8, (int32_t)(hex >> 8 & 255) << 8,
		(int32_t)(hex & 255) << 8 };
}

static int32_t blend(int32_t a, int32_t b, int64_t t, int64_t end) {
	return a + (int32_t)((b - a) * t / end);
}

// The colour t / end of the way from one to the other; t is held within 0..end.
static struct colour mix(struct colour a, struct colour b, int64_t t, int64_t end) {
	t = t < 0 ? 0 : t > end ? end : t;
	return (struct colour){ blend(a.r, b.r, t, end), blend(a.g, b.g, t, end), blend(a.b, b.b, t, end) };
}

static struct colour shade_sky(struct point p, int ring) {
	struct colour c = p.y < U(-60) ? mix(rgb(0x17123f), rgb(0x7a2a76), p.y + U(500), U(440))
				       : mix(rgb(0x7a2a76), rgb(0xff9a5e), p.y + U(60), U(470));
	return ring % 2 == 1 ? mix(c, rgb(0xffb070), 18 - ring, 110) : c;
}

static struct colour shade_swede(struct point p, struct colour base) {
	struct point d = from(heart, p);
	int64_t light = square(d.x + U(85)) / 8 + square(d.y + U(80)) / 8;
	struct colour c = mix(base, rgb(0x2a1036), light, square(U(460)) / 8);
	return mix(rgb(0xfff4ff), c, light + square(U(120)) / 8, square(U(165)) / 8);
}

static struct colour shade_body(struct point p, int layer) {
	switch (layer) {
	case LAYER_BODY_TOP:
		return shade_swede(p, mix(rgb(0x6d2f86), rgb(0xa655a8), p.y + U(180), U(240)));
	case LAYER_MARK:
		return shade_swede(p, rgb(0xc79a5a));
	case LAYER_NECK:
		return zigzag(p.y, U(14), U(14)) < U(3)
			       ? rgb(0x3f1a52)
			       : mix(rgb(0x8a4a96), rgb(0x5a2570), p.x - U(480), U(100));
	default:
		return shade_swede(p, mix(rgb(0xffeec0), rgb(0xf0c77a), p.y, U(400)));
	}
}

static struct colour shade_leaf(struct point p, int layer) {
	static const uint32_t sides[] = { 0xb9dd8a, 0x57a773, 0x2f7d5d };
	int64_t height = crown.y - p.y;
	struct colour c = rgb(sides[(layer - LAYER_LEAF) % 3]);
	c = mix(rgb(0x1c4a4a), c, height + U(70), U(200));
	return layer >= LAYER_LEAF + 3 ? mix(c, rgb(0x123a44), (layer - LAYER_LEAF) / 6, 6) : c;
}

static struct colour shade(int layer, struct point p) {
	if (layer >= LAYER_SKY) {
		return shade_sky(p, layer - LAYER_SKY);
	}
	if (layer >= LAYER_LEAF && layer < LAYER_BODY) {
		return shade_leaf(p, layer);
	}
	switch (layer) {
	case LAYER_LETTER:
		return mix(rgb(0xfffbe6), rgb(0xffc25c), p.y + U(70), U(300));
	case LAYER_SHADOW:
		return mix(shade_sky(p, 0), rgb(0x1a0c36), 3, 5);
	case LAYER_HILL_FRONT:
		return mix(rgb(0x3d1b5a), rgb(0x140a2a), p.y - U(360), U(150));
	case LAYER_HILL_BACK:
		return mix(rgb(0x8a3a72), rgb(0x4a2166), p.y - U(310), U(150));
	case LAYER_SUN:
		return mix(rgb(0xffe08a), rgb(0xff7e57), p.y + U(330), U(660));
	case LAYER_STAR:
		return rgb(0xfff1d0);
	default:
		return shade_body(p, layer);
	}
}

// The canvas under a picture of w x h: whole width or whole height, whichever fits, is 1600 or 1000 units.
struct canvas {
	uint32_t w;
	uint32_t h;
	int64_t units;
	int64_t pixels;
};

static struct canvas canvas_of(uint32_t w, uint32_t h) {
	bool narrow = (uint64_t)w * 1000 <= (uint64_t)h * 1600;
	return (struct canvas){ w, h, narrow ? 1600 : 1000, narrow ? w : h };
}

// ex, ey: eighths of a pixel from the top left corner.
static struct point canvas_point(const struct canvas *c, int64_t ex, int64_t ey) {
	return (struct point){ (ex - 4 * (int64_t)c->w) * c->units / c->pixels,
		(ey - 4 * (int64_t)c->h) * c->units / c->pixels };
}

static struct colour average(const struct canvas *c, int64_t ex, int64_t ey) {
	struct colour sum = { 0 };
	for (int i = 0; i < 16; i++) {
		struct point p = canvas_point(c, ex + 1 + i % 4 * 2, ey + 1 + i / 4 * 2);
		struct colour s = shade(layer_at(p), p);
		sum = (struct colour){ sum.r + s.r, sum.g + s.g, sum.b + s.b };
	}
	return (struct colour){ sum.r / 16, sum.g / 16, sum.b / 16 };
}

static bool is_edge(const struct canvas *c, int64_t ex, int64_t ey, int layer) {
	return layer_at(canvas_point(c, ex + 7, ey + 1)) != layer ||
	       layer_at(canvas_point(c, ex + 1, ey + 7)) != layer ||
	       layer_at(canvas_point(c, ex + 7, ey + 7)) != layer;
}

// The 8 x 8 Bayer matrix by bit interleaving, 0..252.
static int32_t dither(uint32_t x, uint32_t y) {
	int32_t v = 0;
	for (uint32_t bit = 0; bit < 3; bit++) {
		uint32_t cell = ((x ^ y) >> bit & 1) << 1 | (y >> bit & 1);
		v |= (int32_t)(cell << (2 * (2 - bit)));
	}
	return v * 4;
}

static uint32_t channel(int32_t value, int32_t threshold) {
	int32_t v = (value + threshold) >> 8;
	return (uint32_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

uint32_t neep_picture_pixel(uint32_t x, uint32_t y, uint32_t w, uint32_t h) {
	struct canvas canvas = canvas_of(w, h);
	int64_t ex = 8 * (int64_t)x, ey = 8 * (int64_t)y;
	int layer = layer_at(canvas_point(&canvas, ex + 1, ey + 1));
	struct colour c = is_edge(&canvas, ex, ey, layer)
				  ? average(&canvas, ex, ey)
				  : shade(layer, canvas_point(&canvas, ex + 4, ey + 4));
	int32_t t = dither(x, y);
	return channel(c.r, t) << 16 | channel(c.g, t) << 8 | channel(c.b, t);
}

uint64_t neep_picture_sum(uint64_t sum, const uint32_t *pixels, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		sum = (sum ^ (pixels[i] & 0xffffff)) * 0x100000001b3u;
	}
	return sum;
}

// A round ring with a soft edge and a see-through middle, so that every alpha value matters.
uint32_t neep_cursor_pixel(uint32_t x, uint32_t y) {
	int32_t dx = (int32_t)x * 2 - 63, dy = (int32_t)y * 2 - 63;
	int32_t r2 = dx * dx + dy * dy;
	int32_t fade = 255 - (r2 > 2500 ? r2 - 2500 : 2500 - r2) / 6;
	uint32_t alpha = (uint32_t)(fade < 0 ? 0 : fade);
	uint32_t r = 255, g = 4 * x, b = 4 * y;
	return alpha << 24 | r * alpha / 255 << 16 | g * alpha / 255 << 8 | b * alpha / 255;
}
