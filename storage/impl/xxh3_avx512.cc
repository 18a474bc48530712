#define XXH_VECTOR XXH_AVX512
#define FLOWSTONE_XXH3_KERNEL xxh3_avx512
#include "storage/impl/xxh3_kernel.inc"
