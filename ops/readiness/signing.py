"""Signatures of records: made by KMS, checked without AWS by the key's public half.

RSA with PKCS #1 v1.5 needs one power and one comparison to be checked, so no further package is
needed for it.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html,
https://www.rfc-editor.org/rfc/rfc8017#section-8.2.2
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.environment import Environment
from ops.errors import OpsError, UsageError, explain, next_step_for

ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"
LEAST_BITS = 2048
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256, which comes before the digest."""
_RSA = bytes.fromhex("06092a864886f70d010101")
_SEQUENCE, _INTEGER, _BITS = 0x30, 0x02, 0x03


@dataclass(frozen=True)
class PublicKey:
    """The public half of an RSA key.

    Attributes:
        modulus: Its modulus.
        exponent: Its exponent.
    """

    modulus: int
    exponent: int

    @classmethod
    def from_bytes(cls, content: bytes) -> "PublicKey":
        """Read what `kms:GetPublicKey` gives, or the same as PEM.

        Args:
            content: A SubjectPublicKeyInfo, in DER or PEM.

        Raises:
            ValueError: It is something else, or too short a key.
        """
        if content.lstrip().startswith(b"-----BEGIN PUBLIC KEY-----"):
            lines = content.strip().splitlines()
            content = base64.b64decode(b"".join(lines[1:-1]), validate=True)
        try:
            whole, _ = _element(content, _SEQUENCE)
            algorithm, rest = _element(whole, _SEQUENCE)
            if not algorithm.startswith(_RSA):
                raise ValueError("it is not an RSA key")
            bits, _ = _element(rest, _BITS)
            numbers, _ = _element(bits[1:], _SEQUENCE)
            modulus, rest = _element(numbers, _INTEGER)
            exponent, _ = _element(rest, _INTEGER)
        except IndexError:
            raise ValueError("it ends too early") from None
        key = cls(int.from_bytes(modulus), int.from_bytes(exponent))
        if key.modulus.bit_length() < LEAST_BITS or key.exponent < 3:
            raise ValueError(f"it has {key.modulus.bit_length()} bits, and {LEAST_BITS} are needed")
        return key

    def has_signed(self, content: bytes, signature: Mapping[str, str]) -> bool:
        """Whether a signature is of a content, and by this key.

        Args:
            content: The content.
            signature: `{key, algorithm, value}`.
        """
        try:
            value = base64.b64decode(signature.get("value", ""), validate=True)
        except (binascii.Error, ValueError):
            return False
        length = (self.modulus.bit_length() + 7) // 8
        if signature.get("algorithm") != ALGORITHM or len(value) != length:
            return False
        number = int.from_bytes(value)
        if number >= self.modulus:
            return False
        found = pow(number, self.exponent, self.modulus).to_bytes(length)
        hashed = _SHA256 + hashlib.sha256(content).digest()
        padding = b"\xff" * (length - len(hashed) - 3)
        # What is expected is compared as a whole: nothing of what was found is parsed.
        return hmac.compare_digest(found, b"\x00\x01" + padding + b"\x00" + hashed)


@dataclass(frozen=True)
class KmsKey:
    """The key of an environment that signs its records.

    Attributes:
        environment: The environment.
        arn: ARN of the key.
    """

    environment: Environment
    arn: str

    @classmethod
    def of(cls, environment: Environment) -> "KmsKey | None":
        """Find the key of an environment; None if its records are not signed.

        Args:
            environment: The environment.
        """
        arn = environment.outputs.records_key_arn
        return cls(environment, arn) if arn else None

    @property
    def _kms(self) -> Any:
        return self.environment.client("kms", self.arn.split(":")[3])

    def sign(self, content: bytes) -> dict[str, str]:
        """Sign.

        Args:
            content: What to sign.

        Returns:
            `{key, algorithm, value}`.

        Raises:
            OpsError: KMS does not sign.
        """
        try:
            signed = self._kms.sign(
                KeyId=self.arn,
                Message=hashlib.sha256(content).digest(),
                MessageType="DIGEST",
                SigningAlgorithm=ALGORITHM,
            )
            value = base64.b64encode(signed["Signature"]).decode()
        except Exception as error:  # a malformed response, too
            raise OpsError(
                f"the record cannot be signed with {self.arn}: {explain(error)}",
                next_step=next_step_for(error),
            ) from error
        return {"key": self.arn, "algorithm": ALGORITHM, "value": value}

    def public_key(self) -> PublicKey:
        """Read the public half.

        Raises:
            OpsError: KMS does not give it.
        """
        try:
            return PublicKey.from_bytes(self._kms.get_public_key(KeyId=self.arn)["PublicKey"])
        except Exception as error:
            raise OpsError(
                f"the public key of {self.arn} cannot be read: {explain(error)}",
                next_step=f"{next_step_for(error)}; or give it with --public-key FILE",
            ) from error


def public_key_in(path: Path) -> PublicKey:
    """Read a public key from a file.

    Args:
        path: The file.

    Raises:
        UsageError: It is not one.
    """
    try:
        return PublicKey.from_bytes(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{path} cannot be read as a public key: {reason}",
            next_step="write it with aws kms get-public-key: docs/how-to/prove-readiness.md",
        ) from error


def _element(content: bytes, tag: int) -> tuple[bytes, bytes]:
    """Value of the first element of DER, and what follows it."""
    if content[0] != tag:
        raise ValueError(f"it has the tag {content[0]:#x} where {tag:#x} belongs")
    length, begin = content[1], 2
    if length & 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(content[2 : 2 + size]), 2 + size
    if len(content) < begin + length:
        raise ValueError("it ends too early")
    return content[begin : begin + length], content[begin + length :]
