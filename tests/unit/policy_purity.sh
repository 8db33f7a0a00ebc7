#!/bin/sh
# lib/policy decides and does nothing else: its archive may need these symbols of the outside only.
# usage: policy_purity.sh LIBRARY
allowed='memchr|memcmp|memcpy|memmove|memset|strchr|strcmp|strlen|strncmp|strnlen|strpbrk|strrchr|strspn|strcspn|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(a|ub)san.*|__gcov.*|__sanitizer.*'
bad=$(nm -u "$1" | awk '$1 == "U" { print $2 }' | sort -u | grep -vE "^($allowed)\$" | while read -r symbol; do
	# One file of the library may use another.
	nm --defined-only "$1" 2>/dev/null | awk '{ print $3 }' | grep -qx "$symbol" || echo "$symbol"
done)
[ -z "$bad" ] && exit 0
printf 'lib/policy needs what it may not:\n%s\n' "$bad"
exit 1
