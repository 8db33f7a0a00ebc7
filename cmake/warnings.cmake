# What every target of ours is compiled with. Link it PRIVATE.
add_library(lops_flags INTERFACE)
target_compile_definitions(lops_flags INTERFACE _GNU_SOURCE)
target_include_directories(lops_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(lops_flags INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 -Wcast-qual
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -fno-common -fstack-protector-strong
	$<$<BOOL:${LOPS_WERROR}>:-Werror>)
if(LOPS_SANITIZE)
	target_compile_options(lops_flags INTERFACE -fsanitize=${LOPS_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=undefined)
	target_link_options(lops_flags INTERFACE -fsanitize=${LOPS_SANITIZE})
endif()
if(LOPS_COVERAGE)
	target_compile_options(lops_flags INTERFACE --coverage)
	target_link_options(lops_flags INTERFACE --coverage)
endif()
if(LOPS_FUZZ)
	target_compile_options(lops_flags INTERFACE -fsanitize=fuzzer-no-link)
	target_link_options(lops_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
