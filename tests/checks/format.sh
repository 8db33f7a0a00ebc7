#!/bin/sh
# Every C file stands as clang-format lays it out.
cd "$(dirname -- "$0")/../.." || exit 1
files=$(git ls-files -co --exclude-standard '*.c' '*.h') && [ -n "$files" ] || exit 1
# shellcheck disable=SC2086
exec clang-format --dry-run --Werror $files
