#!/bin/sh
# Every shell script of the project is clean for shellcheck.
cd "$(dirname -- "$0")/../.." || exit 1
# shellcheck disable=SC2046
exec shellcheck -x $(git ls-files -co --exclude-standard | xargs -r grep -lE '^#!/bin/sh' --)
