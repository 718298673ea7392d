#include "gl.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <stdio.h>

#include "out.h"

static EGLDisplay display;
static EGLContext context;

void gl_open(void) {
	static const EGLint config_words[] = { EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE,
		EGL_OPENGL_ES3_BIT, EGL_NONE };
	static const EGLint context_words[] = { EGL_CONTEXT_MAJOR_VERSION, 3, EGL_CONTEXT_MINOR_VERSION, 1,
		EGL_NONE };
	EGLConfig config;
	EGLint count = 0;
	display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
	expect(display != EGL_NO_DISPLAY);
	expect(eglInitialize(display, NULL, NULL));
	expect(eglBindAPI(EGL_OPENGL_ES_API));
	expect(eglChooseConfig(display, config_words, &config, 1, &count) && count == 1);
	context = eglCreateContext(display, config, EGL_NO_CONTEXT, context_words);
	expect(context != EGL_NO_CONTEXT);
	expect(eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context));
	printf("renderer: %s\nversion: %s\n", glGetString(GL_RENDERER), glGetString(GL_VERSION));
}

void gl_close(void) {
	expect(glGetError() == GL_NO_ERROR);
	expect(eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT));
	expect(eglDestroyContext(display, context));
	expect(eglTerminate(display));
}

static void attach_shader(GLuint program, GLenum stage, const char *text) {
	GLint is_compiled = 0;
	char log[512] = "";
	GLuint shader = glCreateShader(stage);
	glShaderSource(shader, 1, &text, NULL);
	glCompileShader(shader);
	glGetShaderiv(shader, GL_COMPILE_STATUS, &is_compiled);
	glGetShaderInfoLog(shader, sizeof(log), NULL, log);
	if (!is_compiled) {
		out_fail(__FILE__, __LINE__, "%s", log);
	}
	glAttachShader(program, shader);
	glDeleteShader(shader);
}

GLuint gl_program(const char *first, const char *fragment) {
	GLint is_linked = 0;
	GLuint program = glCreateProgram();
	attach_shader(program, fragment == NULL ? GL_COMPUTE_SHADER : GL_VERTEX_SHADER, first);
	if (fragment != NULL) {
		attach_shader(program, GL_FRAGMENT_SHADER, fragment);
	}
	glLinkProgram(program);
	glGetProgramiv(program, GL_LINK_STATUS, &is_linked);
	expect(is_linked);
	return program;
}

void gl_target_create(struct gl_target *target, int width, int height) {
	*target = (struct gl_target){ .width = width, .height = height };
	glGenFramebuffers(1, &target->framebuffer);
	glGenRenderbuffers(1, &target->color);
	glGenRenderbuffers(1, &target->depth);
	glBindRenderbuffer(GL_RENDERBUFFER, target->color);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, width, height);
	glBindRenderbuffer(GL_RENDERBUFFER, target->depth);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH24_STENCIL8, width, height);
	glBindFramebuffer(GL_FRAMEBUFFER, target->framebuffer);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, target->color);
	glFramebufferRenderbuffer(
		GL_FRAMEBUFFER, GL_DEPTH_STENCIL_ATTACHMENT, GL_RENDERBUFFER, target->depth);
	expect(glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE);
	glViewport(0, 0, width, height);
}

void gl_target_destroy(struct gl_target *target) {
	glDeleteFramebuffers(1, &target->framebuffer);
	glDeleteRenderbuffers(1, &target->color);
	glDeleteRenderbuffers(1, &target->depth);
}

void gl_picture(const struct gl_target *target, const char *name) {
	uint8_t *pixels = out_alloc((size_t)target->width * (size_t)target->height, 4);
	glPixelStorei(GL_PACK_ALIGNMENT, 1);
	glReadPixels(0, 0, target->width, target->height, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	expect(glGetError() == GL_NO_ERROR);
	out_picture(name, pixels, (uint32_t)target->width, (uint32_t)target->height);
	free(pixels);
}
