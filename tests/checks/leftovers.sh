#!/bin/sh
# Nothing half-done is left in the tree.
cd "$(dirname -- "$0")/../.." || exit 1
! git ls-files -co --exclude-standard | grep -v '^tests/checks/leftovers.sh$' |
	xargs -r grep -nIwE 'TODO|FIXME|XXX|HACK' --
