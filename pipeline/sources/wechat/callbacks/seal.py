"""How WeChat signs and encrypts what it calls back with. Transport and content do not belong here.

A signature is the SHA-1 of its parts, sorted and joined. An encrypted body is AES-256-CBC of 16
chance bytes, the message's length in four bytes, the message and the app_id, padded to 32 bytes.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pipeline.errors import ConfigurationError

KEY_LETTERS = 43
BLOCK_BYTES = 32
CHANCE_BYTES, LENGTH_BYTES = 16, 4


class SealError(Exception):
    """Not encrypted for this account; the text says nothing of what was found."""


def is_signed(signature: str, *parts: str) -> bool:
    """Whether these parts, of which one is the account's token, make the signature."""
    expected = hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


class Seal:
    """The key of one account. Raises ConfigurationError where it is no EncodingAESKey."""

    def __init__(self, encoding_key: str, app_id: str) -> None:
        self._app_id = app_id.encode()
        try:
            self._key = base64.b64decode(f"{encoding_key}=", validate=True)
        except binascii.Error:
            self._key = b""
        if len(encoding_key) != KEY_LETTERS or len(self._key) != BLOCK_BYTES:
            raise ConfigurationError(
                f"callback_key_env: found {len(encoding_key)} signs, allowed: an EncodingAESKey of"
                f" {KEY_LETTERS} letters and digits",
                next_step="copy the EncodingAESKey anew from mp.weixin.qq.com",
            )

    def open(self, encrypted: str) -> bytes:
        """The message. Raises SealError."""
        try:
            content = base64.b64decode(encrypted, validate=True)
        except ValueError as error:
            raise SealError("not base64") from error
        if not content or len(content) % BLOCK_BYTES:
            raise SealError("not whole blocks")
        cipher = Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16])).decryptor()
        plain = _unpad(cipher.update(content) + cipher.finalize())
        start = CHANCE_BYTES + LENGTH_BYTES
        end = start + int.from_bytes(plain[CHANCE_BYTES:start])
        if end > len(plain) or not hmac.compare_digest(plain[end:], self._app_id):
            raise SealError("for another app_id")
        return plain[start:end]


def _unpad(plain: bytes) -> bytes:
    """PKCS#7 over blocks of 32 bytes, twice those of AES."""
    count = plain[-1]
    if not 1 <= count <= BLOCK_BYTES or plain[-count:] != bytes([count]) * count:
        raise SealError("not padded")
    return plain[:-count]
