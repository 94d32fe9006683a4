"""WeChat Pay v3 signatures: ours on requests, theirs on replies. Opens no line."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pipeline.company import Connection
from pipeline.errors import BrokenContentError, ConfigurationError, PermanentSourceError

SCHEME = "WECHATPAY2-SHA256-RSA2048"
# Every official SDK refuses a reply that is this far off: it may be an old one, replayed.
CLOCK_TOLERANCE_SECONDS = 300
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
SIGNATURE_HEADERS = (
    "Wechatpay-Serial",
    "Wechatpay-Signature",
    "Wechatpay-Timestamp",
    "Wechatpay-Nonce",
)
WHERE_KEYS_ARE = "download it again from pay.weixin.qq.com, 账户中心, API安全"


RENEW_PLATFORM_KEYS = (
    "WeChat Pay renews platform certificates before they end: download the current one (or, once"
    " and for good, the public key with its PUB_KEY_ID) from pay.weixin.qq.com, 账户中心, API安全,"
    " and add it to platform_keys in sources.yml under its serial"
)


@dataclass(frozen=True)
class PlatformKey:
    """One key that WeChat Pay signs with. A certificate ends; a public key does not."""

    public: rsa.RSAPublicKey
    ends_at: datetime | None = None


@dataclass(frozen=True)
class MerchantKeys:
    """One merchant's private key and the platform's public keys by serial or PUB_KEY_ID."""

    merchant_id: str
    certificate_serial: str
    private_key: rsa.RSAPrivateKey
    platform_keys: Mapping[str, PlatformKey]

    @classmethod
    def load(cls, connection: Connection) -> "MerchantKeys":
        """Read the key files. Raises ConfigurationError naming the file."""
        return cls(
            merchant_id=connection.merchant_id or "",
            certificate_serial=connection.certificate_serial or "",
            private_key=_load_private_key(connection.private_key_path or Path()),
            platform_keys={
                serial: _load_platform_key(path)
                for serial, path in connection.platform_keys.items()
            },
        )

    @property
    def public_key_id(self) -> str | None:
        """The PUB_KEY_ID that requests must name in public-key mode; None in certificate mode."""
        ids = (key for key in self.platform_keys if key.startswith(PUBLIC_KEY_PREFIX))
        return next(ids, None)

    def authorize(self, method: str, target: str, body: str, now: datetime) -> str:
        """The Authorization header. `target` is path and query exactly as they are sent."""
        timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
        message = f"{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n"
        signature = self.private_key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
        return (
            f'{SCHEME} mchid="{self.merchant_id}",nonce_str="{nonce}",'
            f'signature="{base64.b64encode(signature).decode()}",'
            f'timestamp="{timestamp}",serial_no="{self.certificate_serial}"'
        )

    def verify(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, subject: str
    ) -> None:
        """Prove that a reply comes from WeChat Pay and is fresh.

        Raises BrokenContentError for a missing or wrong signature, PermanentSourceError for a key
        that is not known here or a clock that is off.
        """
        missing = [name for name in SIGNATURE_HEADERS if not headers.get(name)]
        if missing:
            raise BrokenContentError(
                f"{subject}: the reply bears no {', '.join(missing)}; it may be forged",
                next_step="check base_url and whether a proxy strips headers",
            )
        serial, signature, timestamp, nonce = (headers[name] for name in SIGNATURE_HEADERS)
        key = self.platform_keys.get(serial)
        if key is None:
            raise PermanentSourceError(
                f"{subject}: the reply is signed with platform key '{serial}',"
                f" platform_keys holds {', '.join(self.platform_keys) or 'none'}",
                next_step=RENEW_PLATFORM_KEYS,
            )
        try:
            key.public.verify(
                base64.b64decode(signature, validate=True),
                f"{timestamp}\n{nonce}\n".encode() + body + b"\n",
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise BrokenContentError(
                f"{subject}: the reply's signature does not fit platform key '{serial}'",
                next_step="run again; if it repeats, the key file of that serial is the wrong one",
            ) from error
        self._require_fresh(timestamp, now, subject)
        if key.ends_at is not None and now >= key.ends_at:
            raise PermanentSourceError(
                f"{subject}: platform certificate '{serial}' ended on {key.ends_at:%Y-%m-%d},"
                " so what it signs proves nothing any more",
                next_step=RENEW_PLATFORM_KEYS,
            )

    def _require_fresh(self, timestamp: str, now: datetime, subject: str) -> None:
        offset = now.timestamp() - int(timestamp) if timestamp.isdecimal() else float("inf")
        if abs(offset) >= CLOCK_TOLERANCE_SECONDS:
            raise PermanentSourceError(
                f"{subject}: this machine's clock is {offset:+.0f} s off WeChat Pay's,"
                f" allowed: less than {CLOCK_TOLERANCE_SECONDS} s",
                next_step="set the clock, for instance by NTP, and run again",
            )


def _load_private_key(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path, "private_key_path"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"private_key_path: {path} is not an unencrypted PEM private key"
            f" ({type(error).__name__})",
            next_step=f"apiclient_key.pem is meant; {WHERE_KEYS_ARE}",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError(
            f"private_key_path: {path} holds a {type(key).__name__}, allowed: an RSA key",
            next_step=f"apiclient_key.pem is meant; {WHERE_KEYS_ARE}",
        )
    return key


def _load_platform_key(path: Path) -> PlatformKey:
    """The key of a PEM public key (public-key mode) or of a PEM certificate (certificate mode)."""
    pem, ends_at = _read(path, "platform_keys"), None
    try:
        if b"BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(pem)
            key: object = certificate.public_key()
            ends_at = certificate.not_valid_after_utc
        else:
            key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"platform_keys: {path} is neither a PEM public key nor a PEM certificate",
            next_step=f"pub_key.pem is meant; {WHERE_KEYS_ARE}",
        ) from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError(
            f"platform_keys: {path} holds a {type(key).__name__}, allowed: an RSA key",
            next_step=f"pub_key.pem is meant; {WHERE_KEYS_ARE}",
        )
    return PlatformKey(key, ends_at)


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{setting}: {path} cannot be read ({error.strerror})",
            next_step=f"put the file there, or mend the path in sources.yml; {WHERE_KEYS_ARE}",
        ) from error
