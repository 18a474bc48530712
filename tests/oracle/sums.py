"""The sums and hashes of the formats, in plain Python: CRC-32C, CRC-64/WE and XXH3-64.

Written from their public definitions (RFC 3720 appendix B.4; the catalogue of parametrised CRCs; the XXH3 specification)
and shared with nothing in storage/, so that a mistake there does not repeat here. `python3 sums.py` compares known
vectors.
"""

MASK64 = (1 << 64) - 1


def reflect(value, bits):
    return int(format(value, "0%db" % bits)[::-1], 2)


# CRC-32C -------------------------------------------------------------------------------------------------------------

CRC32C = 0x1EDC6F41  # without x^32
TERMS = [bit for bit in range(32) if CRC32C >> bit & 1]
REVERSED = bytes(reflect(byte, 8) for byte in range(256))


def make_table(polynomial, width):
    top = 1 << (width - 1)
    table = []
    for byte in range(256):
        register = byte << (width - 8)
        for _ in range(8):
            register = (register << 1 ^ (polynomial if register & top else 0)) & ((1 << width) - 1)
        table.append(register)
    return table


TABLE32 = make_table(CRC32C, 32)
TABLE64 = make_table(0x42F0E1EBA9EA3693, 64)


def crc32c(data):
    """Of two polynomials with the same remainder by P one may stand for the other. P(x)^(2^n) is P(x^(2^n)): few terms,
    so long inputs are folded with shifts of whole numbers down to 256 bytes. A byte at a time is 100 times slower."""
    bits = len(data) * 8
    value = int.from_bytes(bytes(data).translate(REVERSED), "big") << 32
    value ^= 0xFFFFFFFF << bits
    power = 6
    while (32 << (power + 1)) < bits:
        power += 1
    while power >= 6:
        degree = 32 << power
        while value.bit_length() > degree:
            high = value >> degree
            value &= (1 << degree) - 1
            for term in TERMS:
                value ^= high << (term << power)
        power -= 1
    register = 0
    for byte in value.to_bytes((value.bit_length() + 7) // 8, "big"):
        register = (register << 8 & 0xFFFFFFFF | byte) ^ TABLE32[register >> 24]
    return reflect(register ^ 0xFFFFFFFF, 32)


def crc64(data, before=0):
    """CRC-64/WE, continued from the sum of what came before."""
    register = before ^ MASK64
    for byte in data:
        register = (register << 8 & MASK64) ^ TABLE64[register >> 56 ^ byte]
    return register ^ MASK64


# XXH3-64 -------------------------------------------------------------------------------------------------------------

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e"
    "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a"
    "51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8f"
    "f8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def word(data, at, size=8):
    return int.from_bytes(data[at:at + size], "little")


def fold(a, b):
    product = a * b
    return product & MASK64 ^ product >> 64


def avalanche(h):
    h = (h ^ h >> 37) * 0x165667919E3779F9 & MASK64
    return h ^ h >> 32


def avalanche_xxh64(h):
    h = (h ^ h >> 33) * P64_2 & MASK64
    h = (h ^ h >> 29) * P64_3 & MASK64
    return h ^ h >> 32


def rotate(h, by):
    return (h << by | h >> (64 - by)) & MASK64


def mix(data, at, secret_at, seed):
    return fold(word(data, at) ^ (word(SECRET, secret_at) + seed & MASK64),
                word(data, at + 8) ^ (word(SECRET, secret_at + 8) - seed & MASK64))


def xxh3_64(data, seed=0):
    n = len(data)
    if n > 240:
        return xxh3_64_long(data, seed)
    if n > 128:
        acc = n * P64_1
        for i in range(8):
            acc += mix(data, 16 * i, 16 * i, seed)
        acc = avalanche(acc & MASK64)
        for i in range(8, n // 16):
            acc += mix(data, 16 * i, 16 * (i - 8) + 3, seed)
        return avalanche(acc + mix(data, n - 16, 119, seed) & MASK64)
    if n > 16:
        acc = n * P64_1
        for i in range((n - 1) // 32 + 1):
            acc += mix(data, 16 * i, 32 * i, seed) + mix(data, n - 16 * (i + 1), 32 * i + 16, seed)
        return avalanche(acc & MASK64)
    if n > 8:
        low = word(data, 0) ^ ((word(SECRET, 24) ^ word(SECRET, 32)) + seed & MASK64)
        high = word(data, n - 8) ^ ((word(SECRET, 40) ^ word(SECRET, 48)) - seed & MASK64)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return avalanche(n + swapped + high + fold(low, high) & MASK64)
    if n > 3:
        seed ^= int.from_bytes((seed & 0xFFFFFFFF).to_bytes(4, "little"), "big") << 32
        flip = (word(SECRET, 8) ^ word(SECRET, 16)) - seed & MASK64
        h = (word(data, n - 4, 4) + (word(data, 0, 4) << 32)) ^ flip
        h ^= rotate(h, 49) ^ rotate(h, 24)
        h = h * 0x9FB21C651E98DF25 & MASK64
        h = (h ^ (h >> 35) + n) * 0x9FB21C651E98DF25 & MASK64
        return h ^ h >> 28
    if n > 0:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche_xxh64(combined ^ ((word(SECRET, 0, 4) ^ word(SECRET, 4, 4)) + seed & MASK64))
    return avalanche_xxh64(seed ^ word(SECRET, 56) ^ word(SECRET, 64))


def xxh3_64_long(data, seed):
    n = len(data)
    secret = bytearray()
    for i in range(0, 192, 16):
        secret += (word(SECRET, i) + seed & MASK64).to_bytes(8, "little")
        secret += (word(SECRET, i + 8) - seed & MASK64).to_bytes(8, "little")
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]

    def accumulate(at, secret_at):
        for lane in range(8):
            value = word(data, at + 8 * lane)
            key = value ^ word(secret, secret_at + 8 * lane)
            acc[lane ^ 1] = acc[lane ^ 1] + value & MASK64
            acc[lane] = acc[lane] + (key & 0xFFFFFFFF) * (key >> 32) & MASK64

    blocks = (n - 1) // 1024
    for block in range(blocks):
        for stripe in range(16):
            accumulate(1024 * block + 64 * stripe, 8 * stripe)
        for lane in range(8):
            acc[lane] = (acc[lane] ^ acc[lane] >> 47 ^ word(secret, 128 + 8 * lane)) * P32_1 & MASK64
    for stripe in range((n - 1 - 1024 * blocks) // 64):
        accumulate(1024 * blocks + 64 * stripe, 8 * stripe)
    accumulate(n - 64, 121)
    result = n * P64_1
    for i in range(4):
        result += fold(acc[2 * i] ^ word(secret, 11 + 16 * i), acc[2 * i + 1] ^ word(secret, 19 + 16 * i))
    return avalanche(result & MASK64)


def check():
    """Vectors of the definitions: RFC 3720 B.4, the CRC catalogue, and xxHash's own sanity tests."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    long = bytes(i * i >> 3 & 255 for i in range(20_000))
    for size in (0, 255, 256, 257, 511, 512, 513, 4096, 20_000):  # folded and a bit at a time
        register = 0xFFFFFFFF
        for byte in long[:size]:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        assert crc32c(long[:size]) == register ^ 0xFFFFFFFF
    assert crc64(b"123456789") == 0x62EC59E3F1A4F00A
    assert crc64(b"456789", crc64(b"123")) == 0x62EC59E3F1A4F00A
    generator, data = P32_1, bytearray()
    for _ in range(2367):
        data.append(generator >> 56)
        generator = generator * P64_1 & MASK64
    for size, seed, expected in VECTORS:
        assert xxh3_64(data[:size], seed) == expected, (size, hex(seed))


VECTORS = [  # size, seed, XXH3-64 by the reference implementation
    (0, 0x0, 0x2D06800538D394C2),
    (0, 0x9E3779B185EBCA87, 0x07F70F819703314D),
    (1, 0x0, 0xC44BDFF4074EECDB),
    (1, 0x9E3779B185EBCA87, 0x719AE0FC4EB5DB08),
    (6, 0x0, 0x3CC50D1B34772C2C),
    (6, 0x9E3779B185EBCA87, 0x9D7C15833137D5DC),
    (12, 0x0, 0x08662ADD2C628C21),
    (12, 0x9E3779B185EBCA87, 0x39C3C5CBA7756BD8),
    (24, 0x0, 0x6CBF7A5DC0F3B4AB),
    (24, 0x9E3779B185EBCA87, 0x143113BCC0EA101B),
    (48, 0x0, 0x7DEC70F0C65E9E15),
    (48, 0x9E3779B185EBCA87, 0x7FAD27E669631D49),
    (80, 0x0, 0x343EA68F9ABB0DA5),
    (80, 0x9E3779B185EBCA87, 0x00DEEA347AF34150),
    (195, 0x0, 0x64586F630891D72F),
    (195, 0x9E3779B185EBCA87, 0xFE594A6DF6645FCB),
    (403, 0x0, 0x8F23B428730C6887),
    (403, 0x9E3779B185EBCA87, 0xA9C80181A1FE2BD1),
    (512, 0x0, 0x2670A49459B231DA),
    (512, 0x9E3779B185EBCA87, 0x35725961BEB9603B),
    (2048, 0x0, 0x8C9A8E3F25D392D6),
    (2048, 0x9E3779B185EBCA87, 0x2F465FA3E879A56B),
    (2240, 0x0, 0x644826E2B5FAFEAE),
    (2240, 0x9E3779B185EBCA87, 0x234A14C1A8FE1FCF),
    (2367, 0x0, 0xD4771B3A18E7F2FE),
    (2367, 0x9E3779B185EBCA87, 0x6090EAC5731203C7),
]

if __name__ == "__main__":
    check()
