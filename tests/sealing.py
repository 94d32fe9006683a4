"""Seals callback bodies as WeChat does, on an AES of its own: FIPS 197 and nothing of the project.

Slow and not safe against an observer; for tests alone.
"""

import base64
import hashlib


def seal(
    message: bytes, *, encoding_key: str, app_id: str, chance: bytes = b"0123456789abcdef"
) -> str:
    """A message encrypted for an account."""
    key = base64.b64decode(encoding_key + "=")
    plain = chance + len(message).to_bytes(4, "big") + message + app_id.encode()
    count = 32 - len(plain) % 32
    return base64.b64encode(encrypt_cbc(plain + bytes([count]) * count, key)).decode()


def sign(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def encrypt_cbc(plain: bytes, key: bytes) -> bytes:
    """AES-256-CBC whose first vector is the first half of the key."""
    words, before, sealed = _expand(key), key[:16], b""
    for start in range(0, len(plain), 16):
        block = bytes(a ^ b for a, b in zip(plain[start : start + 16], before, strict=True))
        before = encrypt_block(block, words)
        sealed += before
    return sealed


def encrypt_block(block: bytes, words: list[bytes]) -> bytes:
    rounds = len(words) // 4 - 1
    state = _add(block, words, 0)
    for number in range(1, rounds + 1):
        state = bytes(SBOX[byte] for byte in state)
        state = bytes(state[(place + 4 * (place % 4)) % 16] for place in range(16))
        if number < rounds:
            state = b"".join(_mix(state[start : start + 4]) for start in range(0, 16, 4))
        state = _add(state, words, number)
    return state


def _expand(key: bytes) -> list[bytes]:
    words = [key[start : start + 4] for start in range(0, 32, 4)]
    constant = 1
    for number in range(8, 60):
        word = words[-1]
        if number % 8 == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _times(constant, 2)
        elif number % 8 == 4:
            word = bytes(SBOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word, strict=True)))
    return words


def _add(state: bytes, words: list[bytes], number: int) -> bytes:
    key = b"".join(words[4 * number : 4 * number + 4])
    return bytes(a ^ b for a, b in zip(state, key, strict=True))


def _mix(column: bytes) -> bytes:
    return bytes(
        _times(column[place], 2)
        ^ _times(column[(place + 1) % 4], 3)
        ^ column[(place + 2) % 4]
        ^ column[(place + 3) % 4]
        for place in range(4)
    )


def _times(a: int, b: int) -> int:
    """The product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _substitute(byte: int) -> int:
    inverse = next((x for x in range(256) if _times(byte, x) == 1), 0)
    turned = inverse
    for by in range(1, 5):
        turned ^= ((inverse << by) | (inverse >> (8 - by))) & 0xFF
    return turned ^ 0x63


SBOX = bytes(_substitute(byte) for byte in range(256))
