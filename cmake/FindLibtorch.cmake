# Finds libtorch and makes the imported target Libtorch::cpu.
#
# LIBTORCH_ROOT is the folder that holds include/ and lib/: the `torch` folder of an unpacked wheel, of an active Python
# environment's site-packages, or a libtorch of your own. Without it, what scripts/bootstrap unpacked is used.
# The wheel's own CMake package is not used: it stops where no CUDA toolkit is installed.

set(LIBTORCH_ROOT "" CACHE PATH "Folder with libtorch's include/ and lib/ (a wheel's or Python environment's `torch` folder)")
set(_libtorch_hints ${LIBTORCH_ROOT} "${PROJECT_SOURCE_DIR}/.deps/libtorch/torch")
if(LIBTORCH_ROOT)
  set(_libtorch_hints ${LIBTORCH_ROOT})
endif()

find_path(LIBTORCH_INCLUDE_DIR ATen/core/Tensor.h HINTS ${_libtorch_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(LIBTORCH_CPU_LIBRARY torch_cpu HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_LIBRARY c10 HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
set(LIBTORCH_VERSION "")
foreach(_libtorch_part MAJOR MINOR PATCH)
  if(EXISTS "${LIBTORCH_INCLUDE_DIR}/torch/headeronly/version.h")
    file(STRINGS "${LIBTORCH_INCLUDE_DIR}/torch/headeronly/version.h" _libtorch_line REGEX "define TORCH_VERSION_${_libtorch_part} ")
    string(REGEX MATCH "[0-9]+" _libtorch_number "${_libtorch_line}")
    list(APPEND LIBTORCH_VERSION ${_libtorch_number})
  endif()
endforeach()
list(JOIN LIBTORCH_VERSION "." LIBTORCH_VERSION)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libtorch
  REQUIRED_VARS LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY LIBTORCH_INCLUDE_DIR
  VERSION_VAR LIBTORCH_VERSION
  REASON_FAILURE_MESSAGE "run scripts/bootstrap, or give -DLIBTORCH_ROOT=<folder with include/ and lib/>")

if(Libtorch_FOUND AND NOT TARGET Libtorch::cpu)
  # libtorch uses OpenMP through at::parallel_for, which is header code: without -fopenmp it silently runs serially. The
  # fuzzed readers may: clang's OpenMP would be a second one beside libtorch's. Where libtorch brings its own libgomp, that
  # is the one to link: the compiler's would be hidden by it at run time.
  get_filename_component(_libtorch_lib_dir "${LIBTORCH_CPU_LIBRARY}" DIRECTORY)
  if(MOELORA_FUZZ)
    set(_libtorch_openmp)
  else()
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    set(_libtorch_openmp OpenMP::OpenMP_CXX)
    if(EXISTS "${_libtorch_lib_dir}/libgomp.so.1" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      set_target_properties(OpenMP::OpenMP_CXX PROPERTIES INTERFACE_LINK_LIBRARIES "${_libtorch_lib_dir}/libgomp.so.1")
    endif()
  endif()
  add_library(Libtorch::c10 SHARED IMPORTED)
  set_target_properties(Libtorch::c10 PROPERTIES IMPORTED_LOCATION "${LIBTORCH_C10_LIBRARY}")
  add_library(Libtorch::cpu SHARED IMPORTED)
  set_target_properties(Libtorch::cpu PROPERTIES
    IMPORTED_LOCATION "${LIBTORCH_CPU_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LIBTORCH_INCLUDE_DIR};${LIBTORCH_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${LIBTORCH_INCLUDE_DIR};${LIBTORCH_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_LINK_LIBRARIES "Libtorch::c10;${_libtorch_openmp}"
    # libcudart and libcupti are needed only transitively and are found at run time by the wheel's own rpath.
    INTERFACE_LINK_OPTIONS "LINKER:--allow-shlib-undefined;LINKER:-rpath,${_libtorch_lib_dir}")
endif()
mark_as_advanced(LIBTORCH_INCLUDE_DIR LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY)
