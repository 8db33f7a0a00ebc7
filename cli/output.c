/*
 * Text for people and documents for programs. What came from a process or a user is escaped before
 * it reaches a terminal.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/lops.h"

/* Marks that turn the direction of text. */
static bool is_bidi(const unsigned char *s)
{
	return (s[0] == 0xe2 && s[1] == 0x80 &&
		(s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xaa && s[2] <= 0xae))) ||
	       (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9) ||
	       (s[0] == 0xd8 && s[1] == 0x9c);
}

bool out_is_control(const unsigned char *s, size_t len)
{
	if (*s < 0x20 || *s == 0x7f || (len > 1 && *s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0))
		return true;
	return (len > 2 || *s == 0xd8) && len > 1 && is_bidi(s);
}

void out_text(FILE *f, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (out_is_control(s, 4))
			fprintf(f, "\\x%02x", *s);
		else
			putc(*s, f);
	}
}

void out_upper(char *ret_text, size_t size, const char *word)
{
	size_t i = 0;

	for (; word[i] && i + 1 < size; i++)
		ret_text[i] =
			(char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 'a' + 'A' : word[i]);
	ret_text[i] = 0;
}

void out_span(char *ret_text, size_t size, double seconds)
{
	long s = seconds > 0 ? (long)seconds : 0;

	if (s < 60)
		snprintf(ret_text, size, "%lds", s);
	else if (s < 3600)
		snprintf(ret_text, size, "%ldm %lds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(ret_text, size, "%ldh %ldm", s / 3600, s / 60 % 60);
	else
		snprintf(ret_text, size, "%ldd %ldh", s / 86400, s / 3600 % 24);
}

double out_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *out_number(char buffer[OUT_NUMBER_MAX], int64_t n)
{
	char *at = buffer + OUT_NUMBER_MAX - 1;
	uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	*at = 0;
	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (n < 0)
		*--at = '-';
	return at;
}

/* --- JSON: without printf, for a list is thousands of these --- */

static void put_name(FILE *f, const char *name)
{
	fputs_unlocked(",\"", f);
	fputs_unlocked(name, f);
	fputs_unlocked("\":", f);
}

static void put_int(FILE *f, const char *name, int64_t value)
{
	char digits[OUT_NUMBER_MAX];

	put_name(f, name);
	fputs_unlocked(value == MSG_NONE ? "null" : out_number(digits, value), f);
}

static void put_string(FILE *f, const char *name, const char *value)
{
	put_name(f, name);
	if (value)
		msg_json_string(value, strlen(value), f);
	else
		fputs_unlocked("null", f);
}

static void put_bool(FILE *f, const char *name, bool value)
{
	put_name(f, name);
	fputs_unlocked(value ? "true" : "false", f);
}

/* Seconds, not below 0, to the millisecond. */
static void put_time(FILE *f, const char *name, double value)
{
	char digits[OUT_NUMBER_MAX];
	uint64_t ms = value > 0 && value < 1e15 ? (uint64_t)(value * 1e3 + 0.5) : 0;

	put_name(f, name);
	if (isnan(value)) {
		fputs_unlocked("null", f);
		return;
	}
	fputs_unlocked(out_number(digits, (int64_t)(ms / 1000)), f);
	putc_unlocked('.', f);
	for (uint64_t unit = 100; unit; unit /= 10)
		putc_unlocked((int)('0' + ms / unit % 10), f);
}

static void put_words(FILE *f, const char *name, const struct msg_strs *words)
{
	put_name(f, name);
	putc_unlocked('[', f);
	for (uint32_t i = 0; i < words->count; i++) {
		if (i)
			putc_unlocked(',', f);
		msg_json_string(words->items[i], strlen(words->items[i]), f);
	}
	putc_unlocked(']', f);
}

void out_process_json(FILE *f, const struct process_record *p, bool with_health, double now)
{
	bool runs = p->pid != MSG_NONE && !isnan(p->start_time);

	fputs_unlocked("{\"deployment_id\":", f);
	msg_json_string(p->deployment_id, strlen(p->deployment_id), f);
	put_int(f, "pid", p->pid);
	put_int(f, "ppid", p->ppid);
	put_string(f, "status", p->status);
	put_string(f, "intent", p->intent);
	put_int(f, "generation", (int64_t)p->generation);
	put_bool(f, "pending", p->pending);
	put_words(f, "command", &p->command);
	put_int(f, "port", p->port);
	put_time(f, "start_time", p->start_time);
	put_time(f, "uptime_seconds", runs ? fmax(0, now - p->start_time) : (double)NAN);
	fputs_unlocked(",\"memory_mb\":null,\"cpu_percent\":null", f);
	put_string(f, "log_file", p->log_file);
	put_int(f, "exit_code", p->exit_code);
	put_int(f, "signal", p->signal);
	put_int(f, "restarts", (int64_t)p->restarts);
	put_string(f, "reason", p->reason);
	put_string(f, "status_text", p->status_text);
	put_bool(f, "paused", p->paused);
	fputs_unlocked(with_health ? ",\"overall_status\":\"unknown\"}" : "}", f);
}

void out_status_json(FILE *f, const struct process_record *p)
{
	fputs("{\"schema_version\":1,\"process\":", f);
	out_process_json(f, p, false, out_now());
	fputs(",\"health\":{\"overall_status\":\"unknown\",\"last_check\":null,\"checks\":[]}", f);
	fprintf(f,
		",\"restart_history\":{\"total_restarts\":%llu,\"successful_restarts\":null,"
		"\"failed_restarts\":null,\"circuit_breaker_state\":\"closed\","
		"\"auto_restart_enabled\":%s,\"next_restart_at\":null,\"last_restart\":null,"
		"\"recent_attempts\":[]}",
		(unsigned long long)p->restarts, p->auto_restart ? "true" : "false");
	fputs(",\"memory_trend\":{\"current_mb\":null,\"growth_rate_mb_per_minute\":null,"
	      "\"confidence\":null,\"leak_detected\":null,\"exhausts_at\":null}"
	      ",\"resource_status\":{\"issues\":[],\"critical\":false,\"file_descriptors\":null,"
	      "\"fd_limit\":null,\"thread_count\":null,\"connection_count\":null,"
	      "\"connections_by_state\":null,\"disk_free_mb\":null},\"log_errors\":[]}\n",
	      f);
}
