# Each NAME.yaml beside the errors it must give, NAME.expected. A new one: write the .yaml, run
# `config_cases_test FOLDER --write NAME`, read what it wrote.
add_executable(config_cases_test config_cases_test.c)
target_link_libraries(config_cases_test PRIVATE lops_flags lops_config)
add_test(NAME config.cases COMMAND config_cases_test ${CMAKE_CURRENT_LIST_DIR}/config_cases)
set_tests_properties(config.cases PROPERTIES LABELS unit TIMEOUT 60)

add_executable(config_mutation_test config_mutation_test.c)
target_link_libraries(config_mutation_test PRIVATE lops_flags lops_config)
add_test(NAME config.mutations
	COMMAND config_mutation_test ${CMAKE_CURRENT_LIST_DIR}/config_cases/ok_everything.yaml)
set_tests_properties(config.mutations PROPERTIES LABELS unit TIMEOUT 120)

add_executable(config_load_test config_load_test.c)
target_link_libraries(config_load_test PRIVATE lops_flags lops_config PkgConfig::CMOCKA)
add_test(NAME config.load COMMAND config_load_test)
set_tests_properties(config.load PROPERTIES LABELS unit TIMEOUT 60)

