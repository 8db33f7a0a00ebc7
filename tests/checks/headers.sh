#!/bin/sh
# Every header compiles alone.
cd "$(dirname -- "$0")/../.." || exit 1
status=0
headers=$(git ls-files -co --exclude-standard '*.h') && [ -n "$headers" ] || exit 1
for header in $headers; do
	gcc -std=c17 -D_GNU_SOURCE -I. -fsyntax-only -Wall -x c "$header" 2>&1 |
		grep -v 'pragma once' | grep . && status=1 && echo "$header does not compile alone"
done
exit "$status"
