add_executable(msgs_test msgs_test.c generated.c)
target_link_libraries(msgs_test PRIVATE lops_flags lops_msgs PkgConfig::CMOCKA PkgConfig::MSGPACK m)
add_test(NAME msgs.codec COMMAND msgs_test)
set_tests_properties(msgs.codec PROPERTIES LABELS unit TIMEOUT 120)
