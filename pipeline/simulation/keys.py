"""The RSA keys of the simulated merchant and of the simulated WeChat Pay platform."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MERCHANT_KEY = "merchant_key.pem"
PLATFORM_KEY = "platform_key.pem"
PLATFORM_PUBLIC_KEY = "platform_public_key.pem"


def write_keys(folder: Path) -> None:
    """Write both key pairs, once: keys that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    if all((folder / name).exists() for name in (MERCHANT_KEY, PLATFORM_KEY, PLATFORM_PUBLIC_KEY)):
        return
    merchant, platform = _generate(), _generate()
    (folder / MERCHANT_KEY).write_bytes(_private_pem(merchant))
    (folder / PLATFORM_KEY).write_bytes(_private_pem(platform))
    (folder / PLATFORM_PUBLIC_KEY).write_bytes(
        platform.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    for name in (MERCHANT_KEY, PLATFORM_KEY):
        (folder / name).chmod(0o600)


def read_private_key(path: Path) -> rsa.RSAPrivateKey:
    """Read a key that `write_keys` wrote. Raises ValueError where it is not an RSA key."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} is not an RSA key")
    return key


def _generate() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _private_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
