add_executable(door_rules_test door_rules_test.c)
target_link_libraries(door_rules_test PRIVATE lops_flags lops_policy PkgConfig::CMOCKA)
add_test(NAME policy.door_rules COMMAND door_rules_test)
set_tests_properties(policy.door_rules PROPERTIES LABELS unit TIMEOUT 60)
