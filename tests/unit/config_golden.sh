#!/bin/sh
# Each file of config_golden/ gives exactly the errors that stand beside it (NAME.expected); one named
# good_* gives none. usage: config_golden.sh LOPS [--write]
lops=$1
cd "$(dirname -- "$0")/config_golden" || exit 1
wrong=0
n=0
for file in *.yaml; do
	name=${file%.yaml}
	n=$((n + 1))
	said=$("$lops" config check "$file" 2>&1 >/dev/null)
	status=$?
	case $name in
	good_*) [ "$status" -eq 0 ] && [ -z "$said" ] && continue ;;
	*)
		[ "${2:-}" = --write ] && printf '%s\n' "$said" >"$name.expected"
		[ "$status" -eq 2 ] && [ "$said" = "$(cat "$name.expected" 2>/dev/null)" ] && continue
		;;
	esac
	printf '%s: exit status %s, said\n%s\n' "$file" "$status" "$said"
	wrong=$((wrong + 1))
done
echo "$n files, $wrong wrong"
[ "$wrong" -eq 0 ]
