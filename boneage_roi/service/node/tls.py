"""TLS for DICOM: contexts of both sides from the same certificate."""

import ssl
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.imaging.files import check_file


def contexts(
    certificate: Path | None, key: Path | None, authority: Path | None
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Contexts to listen and to send with; (None, None) without a certificate.

    With an authority both sides must show a certificate that it signed. Versions older than TLS 1.2 are not spoken
    (BCP 195, as DICOM's secure transport profile asks).

    Raises:
        InputError: a file cannot be read or is none, or only one of certificate and key is given.
    """
    if certificate is None:
        if key is not None or authority is not None:
            raise InputError("--tls-key and --tls-authority need --tls-certificate")
        return None, None
    for path in filter(None, (certificate, key, authority)):
        check_file(path)
    try:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"TLS: certificate, key or authority cannot be used ({error})") from None
    if authority is not None:
        server.verify_mode = ssl.CERT_REQUIRED
    return server, client
