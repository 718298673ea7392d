/* OpenGL ES 3.1 in two pictures and a buffer: instances of a lit, textured cube with depth; a blended and stencilled frame
 * around them; and what a compute shader makes of numbers. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "gl.h"
#include "out.h"

#define WIDTH        320
#define HEIGHT       240
#define CUBES        25
#define NUMBERS      4096
#define TEXTURE_SIZE 64

static const char cube_vertex[] =
	"#version 310 es\n"
	"layout(location = 0) in vec3 place;\n"
	"layout(location = 1) in vec3 normal;\n"
	"layout(location = 2) in vec2 corner;\n"
	"layout(std140, binding = 0) uniform Turns { vec4 turns[25]; };\n"
	"out vec3 side;\n"
	"out vec2 uv;\n"
	"void main() {\n"
	"	vec4 t = turns[gl_InstanceID];\n"
	"	mat3 y = mat3(t.x, 0.0, -t.y, 0.0, 1.0, 0.0, t.y, 0.0, t.x);\n"
	"	mat3 x = mat3(1.0, 0.0, 0.0, 0.0, t.z, t.w, 0.0, -t.w, t.z);\n"
	"	vec2 at = vec2(gl_InstanceID % 5, gl_InstanceID / 5) - 2.0;\n"
	"	vec3 p = x * y * place * 0.62 + vec3(at * 1.3, -7.0);\n"
	"	side = x * y * normal;\n"
	"	uv = corner;\n"
	"	gl_Position = vec4(p.x * 1.5, p.y * 2.0, (-p.z - 5.0) * 2.0 - 3.0, -p.z);\n"
	"}\n";

static const char cube_fragment[] =
	"#version 310 es\n"
	"precision highp float;\n"
	"uniform sampler2D image;\n"
	"in vec3 side;\n"
	"in vec2 uv;\n"
	"out vec4 color;\n"
	"void main() {\n"
	"	float light = 0.25 + 0.75 * max(dot(normalize(side), vec3(0.36, 0.48, 0.8)), 0.0);\n"
	"	color = vec4(texture(image, uv).rgb * light, 1.0);\n"
	"}\n";

static const char flat_vertex[] = "#version 310 es\n"
				  "uniform vec4 box;\n"
				  "void main() {\n"
				  "	vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);\n"
				  "	gl_Position = vec4(mix(box.xy, box.zw, corner), 0.0, 1.0);\n"
				  "}\n";

static const char flat_fragment[] = "#version 310 es\n"
				    "precision highp float;\n"
				    "uniform vec4 tint;\n"
				    "out vec4 color;\n"
				    "void main() { color = tint; }\n";

static const char number_compute[] =
	"#version 310 es\n"
	"layout(local_size_x = 64) in;\n"
	"layout(std430, binding = 0) buffer Numbers { uint numbers[]; };\n"
	"void main() {\n"
	"	uint n = numbers[gl_GlobalInvocationID.x];\n"
	"	for (int i = 0; i < 16; i++) { n = (n ^ (n >> 15)) * 2246822519u + 374761393u; }\n"
	"	numbers[gl_GlobalInvocationID.x] = n;\n"
	"}\n";

struct vertex {
	float place[3];
	float normal[3];
	float corner[2];
};

static const float signs[4][2] = { { -1, -1 }, { 1, -1 }, { -1, 1 }, { 1, 1 } };
static const int triangles[6] = { 0, 1, 2, 2, 1, 3 };

/* Two triangles for each of six sides: side / 2 is the axis that the side stands on. */
static void fill_cube(struct vertex vertices[36]) {
	for (int i = 0; i < 36; i++) {
		struct vertex *v = &vertices[i];
		int side = i / 6, axis = side / 2;
		float outward = side % 2 == 0 ? -1.0f : 1.0f;
		const float *s = signs[triangles[i % 6]];
		*v = (struct vertex){ .corner = { s[0] * 0.5f + 0.5f, s[1] * 0.5f + 0.5f } };
		v->place[axis] = v->normal[axis] = outward;
		v->place[(axis + 1) % 3] = s[0];
		v->place[(axis + 2) % 3] = s[1];
	}
}

static void make_cube(void) {
	struct vertex vertices[36];
	GLuint buffer, array;
	fill_cube(vertices);
	glGenVertexArrays(1, &array);
	glBindVertexArray(array);
	glGenBuffers(1, &buffer);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glBufferData(GL_ARRAY_BUFFER, sizeof(vertices), vertices, GL_STATIC_DRAW);
	static const struct {
		GLint size;
		size_t offset;
	} parts[] = { { 3, offsetof(struct vertex, place) }, { 3, offsetof(struct vertex, normal) },
		{ 2, offsetof(struct vertex, corner) } };
	for (GLuint i = 0; i < 3; i++) {
		glVertexAttribPointer(i, parts[i].size, GL_FLOAT, GL_FALSE, sizeof(struct vertex),
			(const void *)parts[i].offset);
		glEnableVertexAttribArray(i);
	}
}

/* Cosines and sines on this side, so that the two runs have the same bits. */
static void make_turns(void) {
	float turns[CUBES][4];
	GLuint buffer;
	for (int i = 0; i < CUBES; i++) {
		float angle = 0.4f + 0.37f * (float)i;
		turns[i][0] = (float)cos(angle);
		turns[i][1] = (float)sin(angle);
		turns[i][2] = (float)cos(0.5f * angle);
		turns[i][3] = (float)sin(0.5f * angle);
	}
	glGenBuffers(1, &buffer);
	glBindBufferBase(GL_UNIFORM_BUFFER, 0, buffer);
	glBufferData(GL_UNIFORM_BUFFER, sizeof(turns), turns, GL_STATIC_DRAW);
}

static void make_texture(void) {
	static uint8_t image[TEXTURE_SIZE][TEXTURE_SIZE][4];
	GLuint texture;
	for (int y = 0; y < TEXTURE_SIZE; y++) {
		for (int x = 0; x < TEXTURE_SIZE; x++) {
			uint8_t check = (x / 8 + y / 8) % 2 == 0 ? 255 : 90;
			uint8_t color[4] = { check, (uint8_t)(x * 4), (uint8_t)(y * 4), 255 };
			memcpy(image[y][x], color, sizeof(color));
		}
	}
	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glTexStorage2D(GL_TEXTURE_2D, 7, GL_RGBA8, TEXTURE_SIZE, TEXTURE_SIZE);
	glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, TEXTURE_SIZE, TEXTURE_SIZE, GL_RGBA, GL_UNSIGNED_BYTE, image);
	glGenerateMipmap(GL_TEXTURE_2D);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR_MIPMAP_LINEAR);
}

static void draw_cubes(void) {
	make_cube();
	make_turns();
	make_texture();
	glUseProgram(gl_program(cube_vertex, cube_fragment));
	glClearColor(0.08f, 0.1f, 0.2f, 1.0f);
	glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
	glEnable(GL_DEPTH_TEST);
	glEnable(GL_STENCIL_TEST);
	/* Where a cube is, the stencil is 1. */
	glStencilFunc(GL_ALWAYS, 1, 0xff);
	glStencilOp(GL_KEEP, GL_KEEP, GL_REPLACE);
	glDrawArraysInstanced(GL_TRIANGLES, 0, 36, CUBES);
	glDisable(GL_DEPTH_TEST);
}

/* Veils over half of the picture: one where there are cubes, one where there are none. */
static void draw_veils(void) {
	GLuint program = gl_program(flat_vertex, flat_fragment);
	GLint box = glGetUniformLocation(program, "box");
	GLint tint = glGetUniformLocation(program, "tint");
	glUseProgram(program);
	glEnable(GL_BLEND);
	glBlendFunc(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA);
	glStencilOp(GL_KEEP, GL_KEEP, GL_KEEP);
	for (int inside = 0; inside < 2; inside++) {
		glStencilFunc(GL_EQUAL, inside, 0xff);
		glUniform4f(box, -0.75f, -0.75f, 0.5f, 0.5f);
		glUniform4f(tint, inside ? 1.0f : 0.0f, 0.5f, inside ? 0.0f : 1.0f, 0.5f);
		glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
	}
	glDisable(GL_BLEND);
	glDisable(GL_STENCIL_TEST);
}

static void compute_numbers(void) {
	static uint32_t numbers[NUMBERS];
	GLuint buffer;
	for (uint32_t i = 0; i < NUMBERS; i++) {
		numbers[i] = i;
	}
	glGenBuffers(1, &buffer);
	glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, buffer);
	glBufferData(GL_SHADER_STORAGE_BUFFER, sizeof(numbers), numbers, GL_DYNAMIC_COPY);
	glUseProgram(gl_program(number_compute, NULL));
	glDispatchCompute(NUMBERS / 64, 1, 1);
	glMemoryBarrier(GL_BUFFER_UPDATE_BARRIER_BIT);
	const void *map = glMapBufferRange(GL_SHADER_STORAGE_BUFFER, 0, sizeof(numbers), GL_MAP_READ_BIT);
	expect(map != NULL);
	out_bytes("numbers", map, sizeof(numbers));
	glUnmapBuffer(GL_SHADER_STORAGE_BUFFER);
}

int main(int argc, char **argv) {
	struct gl_target target;
	out_begin(argc, argv);
	gl_open();
	gl_target_create(&target, WIDTH, HEIGHT);
	draw_cubes();
	gl_picture(&target, "cubes");
	draw_veils();
	gl_picture(&target, "veils");
	gl_target_destroy(&target);
	compute_numbers();
	gl_close();
	return 0;
}
