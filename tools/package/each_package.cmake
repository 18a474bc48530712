# Read by CPack once for each package that it makes. The tar is unpacked into a directory of its own; a .deb is not.
if(CPACK_GENERATOR STREQUAL "TGZ")
  set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
endif()
