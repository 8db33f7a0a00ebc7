#!/bin/sh
# Nothing half-done is left in the tree.
cd "$(dirname -- "$0")/../.." || exit 1
files=$(git ls-files -co --exclude-standard | grep -v '^tests/checks/leftovers.sh$') && [ -n "$files" ] || exit 1
# shellcheck disable=SC2086
! grep -nIwE 'TODO|FIXME|XXX|HACK' -- $files
