"""Who may come in: with configured keys whoever signed with one of them; without, whoever is on this machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunewright.aws.http.call import Call
from tunewright.aws.http.keys import Key
from tunewright.aws.http.sigv4 import UNSIGNED, Denied, Refusal, Signature, read_signature, verify

READING = ("Describe", "List", "Get", "Head", "Filter", "Simulate")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: what the request says, and the key when it was verified."""

    signature: Signature | None
    key: Key | None

    @property
    def service(self) -> str:
        return self.signature.service if self.signature else ""

    @property
    def region(self) -> str:
        return self.signature.region if self.signature else ""


class Gate:
    """Lets requests in.

    Args:
        keys: by access key; with none of them any key does, and none is needed, but only for local names.
        now: seconds since the epoch.
    """

    def __init__(self, keys: Mapping[str, Key], now: Callable[[], float]) -> None:
        self._keys, self._now = dict(keys), now

    @property
    def open(self) -> bool:
        """Whether there are no keys."""
        return not self._keys

    def announced(self, call: Call) -> Signature | None:
        """Who says to have signed; unreadable signatures are none where no keys are configured."""
        try:
            return read_signature(call)
        except Denied:
            if self.open:
                return None
            raise

    def admit(self, call: Call, signature: Signature | None, body: bytes | None) -> Visitor:
        """Let a request in.

        Args:
            body: the whole body, or None when it is streamed and its hash is declared.

        Raises:
            Denied: it may not come in.
        """
        call.note.access_key = signature.access_key[:128] if signature else ""
        if self.open:
            self._check_local(call)
            return Visitor(signature, None)
        if signature is None:
            raise Denied(Refusal.MISSING, "The request is not signed; this server takes requests signed with its keys.")
        key = self._keys.get(signature.access_key)
        if key is None:
            raise Denied(Refusal.UNKNOWN_KEY, "The security token included in the request is invalid.")
        verify(signature, call, key.secret, self._payload(call, signature, body), self._now())
        return Visitor(signature, key)

    def _payload(self, call: Call, signature: Signature, body: bytes | None) -> str:
        if body is not None:
            return hashlib.sha256(body).hexdigest()
        if signature.expires is not None:
            return UNSIGNED
        declared = call.headers.get("x-amz-content-sha256")
        if declared is None:
            raise Denied(Refusal.MALFORMED, "Missing required header for this request: x-amz-content-sha256")
        return declared

    def _check_local(self, call: Call) -> None:
        """Pages in a browser must not reach this server: by a name of their own that leads here, or by requests to it.

        A browser sends some requests, such as the deletion of many objects, without asking first whether it may.
        """
        origin = call.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != call.headers.get("host", "").lower():
            text = f"Without keys this server takes no requests from pages of another origin, such as {origin[:80]!r}."
            raise Denied(Refusal.PLACE, text)
        if call.host not in LOCAL_NAMES and not call.host.endswith(".localhost") and call.host != "":
            text = f"Without keys this server answers only under {', '.join(LOCAL_NAMES)}, not {call.host[:80]!r}."
            raise Denied(Refusal.PLACE, text)

    def check_service(self, visitor: Visitor, service: str) -> None:
        """Raises Denied when a request was signed with a key, and not for the service that it turned out to be for."""
        if visitor.key is not None and service and visitor.service != service:
            text = f"Credential should be scoped to correct service: {service!r}, not {visitor.service[:40]!r}."
            raise Denied(Refusal.MISMATCH, text)

    def check_operation(self, visitor: Visitor, operation: str) -> None:
        """Raises Denied when a read-only key asks for a change."""
        if visitor.key is not None and visitor.key.read_only and not operation.startswith(READING):
            raise Denied(Refusal.READ_ONLY, f"The key {visitor.key.access} may only read; {operation} is a change.")

    def admit_page(self, call: Call) -> None:
        """Let a browser in: local names without keys, else a key and its secret as name and password.

        Raises:
            Denied: neither.
        """
        if self.open:
            self._check_local(call)
            return
        kind, _, text = call.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            try:
                name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
            except (binascii.Error, ValueError):
                name = secret = ""
            key = self._keys.get(name)
            if key is not None and hmac.compare_digest(key.secret.encode(), secret.encode()):
                if key.read_only and call.method not in ("GET", "HEAD"):
                    raise Denied(Refusal.READ_ONLY, f"The key {key.access} may only read.")
                return
        raise Denied(Refusal.MISSING, "Sign in with an access key and its secret.")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
