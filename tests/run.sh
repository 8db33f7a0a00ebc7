#!/bin/sh
# Installs what the tests need where it is missing, builds, and runs every test: all of them as a
# development build, then again under AddressSanitizer and UndefinedBehaviorSanitizer; clang has to
# compile everything without a warning. The last line reads "N passed, N failed".
#
#   tests/run.sh [--full]     --full: the long form of the long tests too
# shellcheck disable=SC2317 # functions called by name
set -u
cd "$(dirname -- "$0")/.." || exit 1

jobs=2
passed=0
failed=0

case ${1:-} in
--full)
	LOPS_TEST_FULL=1
	export LOPS_TEST_FULL
	;;
'') ;;
*)
	echo "usage: tests/run.sh [--full]" >&2
	exit 2
	;;
esac

finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

title() {
	printf '\n== %s (%s s)\n' "$1" "$(($(date +%s) - begun))"
}

# One step that is not a test itself but has to work.
must() { # WHAT COMMAND...
	what=$1
	shift
	title "$what"
	"$@" && return
	echo "FAILED: $what"
	failed=$((failed + 1))
	return 1
}

build() { # PRESET
	cmake --preset "$1" >"build/$1.configure.log" 2>&1 || {
		tail -n 30 "build/$1.configure.log"
		return 1
	}
	ninja -C "build/$1" -j "$jobs" >"build/$1.build.log" 2>&1 || {
		grep -E 'error|warning|FAILED' "build/$1.build.log" | head -n 40
		return 1
	}
}

run_tests() { # PRESET CTEST-ARGUMENTS...
	preset=$1
	shift
	title "tests of build/$preset"
	ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" "$@" \
		>"build/$preset.test.log" 2>&1
	status=$?
	grep -vE '^(Internal ctest|Test project|Label Time Summary)' "build/$preset.test.log"
	n_failed=$(sed -n 's/.*tests passed, \([0-9][0-9]*\) tests failed out of.*/\1/p' \
		"build/$preset.test.log")
	n_all=$(sed -n 's/.*tests failed out of \([0-9][0-9]*\).*/\1/p' "build/$preset.test.log")
	if [ -z "$n_all" ]; then
		echo "FAILED: ctest of build/$preset ended with $status and counted nothing"
		failed=$((failed + 1))
		return
	fi
	failed=$((failed + n_failed))
	passed=$((passed + n_all - n_failed))
}

begun=$(date +%s)
mkdir -p build
must "packages" deploy/packages.sh test || finish
must "build" build dev && run_tests dev
must "build with clang, without a warning" build clang
must "build with AddressSanitizer and UndefinedBehaviorSanitizer" build asan &&
	run_tests asan -LE static
title "end"
finish
