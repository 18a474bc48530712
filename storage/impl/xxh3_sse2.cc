#define XXH_VECTOR XXH_SSE2
#define FLOWSTONE_XXH3_KERNEL xxh3_sse2
#include "storage/impl/xxh3_kernel.inc"
