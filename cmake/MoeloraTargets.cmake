# Where tests/fixtures/generate.py writes.
set(MOELORA_FIXTURES_DIR ${PROJECT_BINARY_DIR}/fixtures)
configure_file(${PROJECT_SOURCE_DIR}/tests/support/fixtures_dir.cpp.in ${PROJECT_BINARY_DIR}/fixtures_dir.cpp @ONLY)

# moelora_library(NAME SOURCES ... [DEPENDS ...] [LINK ...]): the one library of a folder of src/.
#   DEPENDS  libraries of this project, by folder name; only those listed earlier in docs/architecture.md
#   LINK     outside targets
function(moelora_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(moelora_${name} STATIC ${ARG_SOURCES})
  add_library(moelora::${name} ALIAS moelora_${name})
  target_include_directories(moelora_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPENDS PREPEND moelora::)
  target_link_libraries(moelora_${name} PUBLIC moelora_flags ${ARG_DEPENDS} ${ARG_LINK})
endfunction()

# moelora_test(NAME SOURCES ... DEPENDS ... [FIXTURES ...]): one test program for tests/NAME; each of its cases is a ctest test.
#   FIXTURES  what ctest makes before it runs them, e.g. model_fixtures (tests/fixtures/README.md)
function(moelora_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK;FIXTURES" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES} ${PROJECT_BINARY_DIR}/fixtures_dir.cpp)
  list(TRANSFORM ARG_DEPENDS PREPEND moelora::)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} ${ARG_LINK} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 300
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT 600 FIXTURES_REQUIRED "${ARG_FIXTURES}"
    # Several run at once: OpenMP threads that wait for a core another test has make both many times slower.
    ENVIRONMENT OMP_NUM_THREADS=1)
endfunction()
