#ifndef NEEP_TESTS_GL_H
#define NEEP_TESTS_GL_H

#include <GLES3/gl31.h>

/*
 * OpenGL ES without a window, for programs whose results are compared byte for byte (tests/vulkan/out.h). What fails ends
 * the program.
 */

/* Makes a context current on EGL's surfaceless platform, and says on standard output which renderer it has. */
void gl_open(void);
void gl_close(void);

/* Compiles and links; `fragment` NULL: `first` is a compute shader. */
GLuint gl_program(const char *first, const char *fragment);

/* A framebuffer with RGBA8 colour and 24 bits of depth, 8 of stencil; bound, and the viewport set. */
struct gl_target {
	GLuint framebuffer;
	GLuint color;
	GLuint depth;
	int width;
	int height;
};
void gl_target_create(struct gl_target *target, int width, int height);
void gl_target_destroy(struct gl_target *target);

/* Writes FOLDER/NAME.png of what is bound. */
void gl_picture(const struct gl_target *target, const char *name);

#endif
