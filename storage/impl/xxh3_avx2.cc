#define XXH_VECTOR XXH_AVX2
#define FLOWSTONE_XXH3_KERNEL xxh3_avx2
#include "storage/impl/xxh3_kernel.inc"
