#include <cstdio>

#include <flowstone/log.h>

int main() { std::printf("flowstone %s\n", flowstone::version()); }
