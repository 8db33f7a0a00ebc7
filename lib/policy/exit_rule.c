/*
 * The meaning of an exit; see the header.
 */
#include "lib/policy/exit_rule.h"

#include <string.h>

static const char *const names[] = {
	[1] = "SIGHUP",     [2] = "SIGINT",   [3] = "SIGQUIT",   [4] = "SIGILL",   [5] = "SIGTRAP",
	[6] = "SIGABRT",    [7] = "SIGBUS",   [8] = "SIGFPE",    [9] = "SIGKILL",  [10] = "SIGUSR1",
	[11] = "SIGSEGV",   [12] = "SIGUSR2", [13] = "SIGPIPE",  [14] = "SIGALRM", [15] = "SIGTERM",
	[16] = "SIGSTKFLT", [17] = "SIGCHLD", [18] = "SIGCONT",  [19] = "SIGSTOP", [20] = "SIGTSTP",
	[21] = "SIGTTIN",   [22] = "SIGTTOU", [23] = "SIGURG",   [24] = "SIGXCPU", [25] = "SIGXFSZ",
	[26] = "SIGVTALRM", [27] = "SIGPROF", [28] = "SIGWINCH", [29] = "SIGIO",   [30] = "SIGPWR",
	[31] = "SIGSYS",
};
enum { NAMES = sizeof names / sizeof *names, SIGNALS = 64 };

const char *exit_signal_name(int signo)
{
	return signo > 0 && signo < NAMES ? names[signo] : "a real-time signal";
}

int exit_signal_number(const char *name)
{
	int n = 0;

	for (const char *c = name; *c >= '0' && *c <= '9' && n < 1000; c++) {
		n = 10 * n + (*c - '0');
		if (!c[1])
			return n <= SIGNALS ? n : 0;
	}
	for (int i = 1; i < NAMES; i++)
		if (strcmp(names[i], name) == 0 || strcmp(names[i] + 3, name) == 0)
			return i;
	return 0;
}

/* Text and numbers without stdio: this library has no I/O. */
static void append(char *out, size_t size, const char *text)
{
	size_t used = strlen(out), len = strlen(text);

	if (used + len + 1 > size)
		len = size - used - 1;
	memcpy(out + used, text, len);
	out[used + len] = 0;
}

static void append_number(char *out, size_t size, int n)
{
	char digits[16];
	size_t at = sizeof digits - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	append(out, size, digits + at);
}

static bool is_success(const struct exit_facts *f, int code)
{
	for (uint32_t i = 0; i < f->n_success_codes; i++)
		if (f->success_codes[i] == code)
			return true;
	return f->n_success_codes == 0 && code == 0;
}

static void say_signal(struct exit_decision *d, int signo)
{
	append(d->reason, sizeof d->reason, "killed by signal ");
	append_number(d->reason, sizeof d->reason, signo);
	append(d->reason, sizeof d->reason, " (");
	append(d->reason, sizeof d->reason, exit_signal_name(signo));
	append(d->reason, sizeof d->reason, ")");
	if (d->core_dumped)
		append(d->reason, sizeof d->reason, ", core dumped");
}

struct exit_decision exit_rule(const struct exit_facts *f)
{
	struct exit_decision d = {
		.verdict = EXIT_CRASHED, .exit_code = INT64_MIN, .signal = INT64_MIN};
	int signo = f->status & 0x7f, code = f->status >> 8 & 0xff;

	if (!f->known) {
		append(d.reason, sizeof d.reason, "ended with an unknown status");
	} else if (signo) {
		d.signal = signo;
		d.core_dumped = f->status & 0x80;
		say_signal(&d, signo);
	} else {
		d.exit_code = code;
		d.verdict = is_success(f, code) ? EXIT_EXITED : EXIT_CRASHED;
		append(d.reason, sizeof d.reason, "exited with code ");
		append_number(d.reason, sizeof d.reason, code);
	}
	if (f->oom_kills && f->known && !f->asked)
		append(d.reason, sizeof d.reason,
		       signo == 9 ? ", out of memory"
				  : ", after a process of it was killed for want of memory");
	if (f->asked) {
		d.verdict = EXIT_STOPPED;
		append(d.reason, sizeof d.reason,
		       f->killed ? " after the stop timeout" : " on request");
	}
	return d;
}
