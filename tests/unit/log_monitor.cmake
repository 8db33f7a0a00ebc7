add_executable(log_monitor_test log_monitor_test.c)
target_link_libraries(log_monitor_test PRIVATE lops_log_file lops_flags PkgConfig::CMOCKA)
add_test(NAME log-monitor.files COMMAND log_monitor_test)
set_tests_properties(log-monitor.files PROPERTIES LABELS unit TIMEOUT 30)
