#!/bin/sh
# Every shell script of the project is clean for shellcheck.
cd "$(dirname -- "$0")/../.." || exit 1
files=$(git ls-files -co --exclude-standard) && [ -n "$files" ] || exit 1
# shellcheck disable=SC2046,SC2086
exec shellcheck -x $(grep -lE '^#!/bin/sh' -- $files)
