/*
 * How a command ends: one sentence on stderr or one JSON document on stdout, and its status.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli/lops.h"

bool fail_as_json;

int fail(int status, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (fail_as_json) {
		printf("{\"schema_version\":1,\"error\":{\"status\":%d,\"message\":", status);
		msg_json_string(text, strlen(text), stdout);
		fputs("}}\n", stdout);
	} else {
		fputs("lops: ", stderr);
		out_text(stderr, text);
		fputc('\n', stderr);
	}
	return finish_output(status);
}

int finish_output(int status)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "lops: standard output: %s\n", strerror(errno ? errno : EIO));
	return status ? status : EXIT_FAILED;
}
